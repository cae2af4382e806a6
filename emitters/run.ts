// Runs one emitter against the model stand-in and a collector, and pairs what it sent with what was true.
import { spawn } from 'node:child_process';
import { CASES, type ToolCall, type TrueUsage } from './cases.ts';
import { startCollector, type Collector, type Recorded, type Signal, type Upstream } from './collector.ts';
import { HERE, type Emitter } from './emitters.ts';
import { startModelStandIn, type ModelStandIn } from './model-stand-in.ts';

const PROGRAM_TIMEOUT_MS = 180_000;
const KEPT_OUTPUT_CHARACTERS = 4_000;

/** One model call as it really was. */
export interface TrueCall extends TrueUsage {
  /** As requested. */
  model: string;
  /** As answered. */
  response_model: string;
  provider: string;
  /** The user's last words. */
  prompt: string;
  /** Empty when the model only called a tool, and for embeddings. */
  answer: string;
  system?: string;
  thinking?: string;
  tool_calls?: ToolCall[];
  tool_result?: string;
  stream: boolean;
}

/** What a fixture's request is to be understood as. */
export interface Truth {
  emitter: string;
  package: string;
  version: string;
  provider: string;
  model: string;
  case: string;
  signal: Signal;
  path: string;
  contentType: string;
  /** As it was sent; the body beside is after undoing it. */
  contentEncoding: string;
  /** Calls that the model answered, in order; empty when it failed. */
  calls: TrueCall[];
  /** HTTP status of the failure, when the case is one. */
  failure?: number;
}

export interface Sent {
  truth: Truth;
  recorded: Recorded;
}

/** Runs all cases of the emitter; rejects with its output when it ends badly or answers from the model are missing. */
export async function runEmitter(emitter: Emitter, upstream?: Upstream): Promise<Sent[]> {
  const standIn = await startModelStandIn();
  const collector = await startCollector(upstream);
  try {
    const groups = emitter.processPerCase === true ? emitter.cases.map((name) => [name]) : [emitter.cases];
    for (const names of groups) await runProgram(emitter, names, standIn, collector, upstream?.authorization);
    // Cumulative metrics are sent once more when a program ends, after its last case: they say nothing new.
    const told = collector.recorded.filter(({ caseName, signal }) => caseName !== '' || signal !== 'metrics');
    return told.map((recorded) => ({ recorded, truth: truthOf(emitter, recorded, standIn) }));
  } finally {
    await Promise.all([standIn.close(), collector.close()]);
  }
}

function runProgram(
  emitter: Emitter,
  names: readonly string[],
  standIn: ModelStandIn,
  collector: Collector,
  authorization = 'Bearer none',
): Promise<void> {
  const place = (text: string): string =>
    text
      .replace('{http}', collector.httpUrl)
      .replace('{grpc}', collector.grpcUrl)
      .replace('{key}', authorization.replace(/^Bearer /, ''));
  const env = Object.fromEntries(Object.entries(emitter.env).map(([name, value]) => [name, place(value)]));
  const program = `${HERE}programs/${emitter.program}`;
  const runtime = emitter.language === 'python' ? `${HERE}${emitter.folder}/venv/bin/python` : process.execPath;
  const child = spawn(runtime, [program], {
    cwd: `${HERE}${emitter.folder}`,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      ...env,
      MODEL_URL: standIn.url,
      CONTROL_URL: collector.httpUrl,
      CASE_NAMES: names.join(','),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PROGRAM_TIMEOUT_MS,
  });
  let output = '';
  const keep = (text: string): void => void (output = (output + text).slice(-KEPT_OUTPUT_CHARACTERS));
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${emitter.name} ended with ${signal ?? code}:\n${output}`));
    });
  });
}

function truthOf(emitter: Emitter, recorded: Recorded, standIn: ModelStandIn): Truth {
  const scripted = CASES[recorded.caseName];
  if (scripted === undefined) throw new Error(`${emitter.name} sent ${recorded.path} outside of its cases.`);
  const answered = standIn.calls.filter(({ caseName }) => caseName === recorded.caseName);
  return {
    emitter: emitter.family,
    package: emitter.package,
    version: emitter.version,
    provider: scripted.provider,
    model: scripted.model,
    case: recorded.caseName,
    signal: recorded.signal,
    path: recorded.path,
    contentType: recorded.contentType,
    contentEncoding: recorded.contentEncoding,
    calls: answered.map(({ turn }) => trueCall(recorded.caseName, turn)),
    ...(scripted.failure === undefined ? {} : { failure: scripted.failure }),
  };
}

function trueCall(caseName: string, index: number): TrueCall {
  const scripted = CASES[caseName];
  const turn = scripted?.turns[index];
  if (scripted === undefined || turn === undefined) throw new Error(`${caseName} has no turn ${index}`);
  return {
    model: scripted.model,
    response_model: scripted.responseModel,
    provider: scripted.provider,
    ...turn.usage,
    prompt: scripted.user,
    answer: turn.answer,
    ...(scripted.system === undefined ? {} : { system: scripted.system }),
    ...(turn.thinking === undefined ? {} : { thinking: turn.thinking }),
    ...(turn.tool_calls === undefined ? {} : { tool_calls: turn.tool_calls }),
    ...(index > 0 && scripted.toolResult !== undefined ? { tool_result: scripted.toolResult } : {}),
    stream: scripted.stream === true,
  };
}
