// What a family has done: how many requests, what became of them, how long they took, and what got through.
import { createHash } from 'node:crypto';
import type { Answer, Shot } from './shot.ts';

export interface Finding {
  what: string;
  request: string;
  status: number;
}

/** One row of the report. */
export interface FamilyResult {
  family: string;
  tried: number;
  refused: number;
  accepted: number;
  serverErrors: number;
  p95Ms: number;
  planted: number;
  plantedFound: number;
  findings: Finding[];
  /** Figures of this family alone. */
  more: Record<string, number>;
  /** Why it did not run; absent when it did. */
  notRun?: string;
}

const MAX_FINDINGS = 20;
/** Of one kind on one route; the rest is only counted. */
const MAX_ALIKE = 2;
const SHOWN_CHARACTERS = 160;

export class Tally {
  /** Distinct requests, as the first 12 bytes of a hash of all that was sent. */
  readonly #distinct = new Set<string>();
  readonly #ms: number[] = [];
  readonly findings: Finding[] = [];
  readonly more: Record<string, number> = {};
  readonly #alike = new Map<string, number>();
  refused = 0;
  accepted = 0;
  serverErrors = 0;

  get tried(): number {
    return this.#distinct.size;
  }

  /** Whether anything got through. */
  get hasFound(): boolean {
    return this.accepted + this.serverErrors > 0;
  }

  /** Counts a request; the same one twice is one, though its answer still counts. */
  count(parts: readonly (string | Uint8Array)[], ms: number): void {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part).update('\0');
    this.#distinct.add(hash.digest('base64').slice(0, 16));
    this.#ms.push(ms);
  }

  countShot(shot: Shot, answer: Answer): void {
    const { 'x-request-id': _, ...headers } = shot.headers ?? {};
    this.count([shot.method, shot.path, JSON.stringify(headers), shot.from ?? '', shot.body ?? ''], answer.ms);
  }

  refuse(): void {
    this.refused++;
  }

  accept(what: string, request: string, status: number): void {
    this.accepted++;
    this.#note({ what, request, status });
  }

  fail(what: string, request: string, status: number): void {
    this.serverErrors++;
    this.#note({ what, request, status });
  }

  #note({ what, request, status }: Finding): void {
    const kind = `${what.slice(0, 60)} ${status} ${request.split(/[? ]/).slice(0, 2).join(' ')}`;
    const alike = this.#alike.get(kind) ?? 0;
    this.#alike.set(kind, alike + 1);
    if (this.findings.length >= MAX_FINDINGS || alike >= MAX_ALIKE) return;
    this.findings.push({ what: shown(what), request: shown(request), status });
  }

  result(family: string, planted: number, plantedFound: number): FamilyResult {
    const { tried, refused, accepted, serverErrors, findings, more } = this;
    const p95Ms = Math.round(quantile(this.#ms, 0.95) * 10) / 10;
    return { family, tried, refused, accepted, serverErrors, p95Ms, planted, plantedFound, findings, more };
  }
}

/** The beginning of a text, readable on one line whatever stands in it. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, SHOWN_CHARACTERS)).slice(1, -1);
}

/** The value that this share of the numbers does not exceed; 0 of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
