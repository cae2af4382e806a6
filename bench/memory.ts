// Whether the memory of a running instance stays flat: sampled from /proc while spans arrive for minutes.
import { readFileSync } from 'node:fs';
import { processTree } from '../packages/server/src/test/processes.ts';
import { round } from './report.ts';

interface Sample {
  minute: number;
  mainMb: number;
  postgresMb: number;
}

export interface MemoryReport {
  minutes: number;
  /** Straight line through the second half, MB per minute: start-up and caches that fill are over by then. */
  mainSlopeMbPerMinute: number;
  postgresSlopeMbPerMinute: number;
  mainFirstMb: number;
  mainLastMb: number;
  mainMostMb: number;
  postgresFirstMb: number;
  postgresLastMb: number;
  postgresMostMb: number;
}

export class MemoryWatch {
  readonly #pid: number;
  readonly #samples: Sample[] = [];
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#sample(), 2_000);
  }

  #sample(): void {
    const sample = { minute: (performance.now() - this.#startedMs) / 60_000, mainMb: 0, postgresMb: 0 };
    let sharedKb = 0;
    for (const { pid, name } of processTree(this.#pid)) {
      const status = statusOf(pid);
      if (pid === this.#pid) sample.mainMb = kb(status, 'VmRSS') / 1_024;
      if (!name.startsWith('postgres')) continue;
      // the shared buffers are the same pages in every process: counted once
      sample.postgresMb += kb(status, 'RssAnon') / 1_024;
      sharedKb = Math.max(sharedKb, kb(status, 'RssShmem'));
    }
    sample.postgresMb += sharedKb / 1_024;
    this.#samples.push(sample);
  }

  stop(): MemoryReport {
    clearInterval(this.#timer);
    const half = this.#samples.slice(Math.floor(this.#samples.length / 2));
    const first = half[0];
    const last = this.#samples.at(-1);
    const most = (name: 'mainMb' | 'postgresMb'): number => Math.max(...this.#samples.map((sample) => sample[name]));
    return {
      minutes: round(last?.minute ?? 0),
      mainSlopeMbPerMinute: round(slope(half, 'mainMb'), 2),
      postgresSlopeMbPerMinute: round(slope(half, 'postgresMb'), 2),
      mainFirstMb: round(first?.mainMb ?? 0),
      mainLastMb: round(last?.mainMb ?? 0),
      mainMostMb: round(most('mainMb')),
      postgresFirstMb: round(first?.postgresMb ?? 0),
      postgresLastMb: round(last?.postgresMb ?? 0),
      postgresMostMb: round(most('postgresMb')),
    };
  }
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return ''; // it ended meanwhile
  }
}

const kb = (status: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);

/** Least squares. */
function slope(samples: readonly Sample[], name: 'mainMb' | 'postgresMb'): number {
  const n = samples.length;
  if (n < 2) return 0;
  const meanX = samples.reduce((sum, { minute }) => sum + minute, 0) / n;
  const meanY = samples.reduce((sum, sample) => sum + sample[name], 0) / n;
  let above = 0;
  let below = 0;
  for (const sample of samples) {
    above += (sample.minute - meanX) * (sample[name] - meanY);
    below += (sample.minute - meanX) ** 2;
  }
  return above / below;
}
