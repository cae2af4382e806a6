// What a family of attacks is given, and the one place that decides what became of each request.
import type { InterleavedFigures } from '../../../server/src/test/interleaved.ts';
import type { ValveState } from '../../../server/src/test/valve.ts';
import type { Corpora } from './corpora.ts';
import { sessionOf, type Party } from './parties.ts';
import type { Random } from './random.ts';
import type { RouteFacts } from './routes.ts';
import { NOT_SENT, send, sendRaw, type Answer, type RawAnswer, type Shot } from './shot.ts';
import type { Tally } from './tally.ts';
import type { Tools } from './tools.ts';

/** Where the attacked instance listens. */
export interface Target {
  http: string;
  otlp: string;
  /** Port of OTLP over gRPC on loopback; 0 when it is not known. */
  grpcPort: number;
}

/** Why an answer shows that the attack got through; undefined when it was refused or had no effect. */
export type Judge = (answer: Answer, shot: Shot) => string | undefined;

export interface FireOptions {
  /** The server may cut the connection without an answer: broken framing, too many bytes. */
  mayHangUp?: boolean;
  /** A part that requests need was taken away or is held busy: 503 UNAVAILABLE is the right answer. */
  mayBeUnavailable?: boolean;
}

/** What everybody in a run shares. */
export interface Stage {
  target: Target;
  routes: readonly RouteFacts[];
  corpora: Corpora;
  /** The attacker's own tenant: everything is done with its credentials, or with none. */
  own: Party;
  /** A tenant whose data the attacker must never see; absent on an instance that is not ours to populate. */
  foreign?: Party;
  /** A tenant that may send a few requests an hour only. */
  limited?: { apiKey: string; requestsPerHour: number };
  /** Name and password of a service account. */
  machine?: { username: string; password: string };
  /** Milliseconds that the server's code takes for each of so many verifications of these tokens, without HTTP. */
  verifyingMs?: (tokens: readonly string[], times: number) => Promise<Float64Array>;
  /** Of the ids, those that have a line in the audit log of the own tenant. */
  audited?: (requestIds: readonly string[]) => Promise<Set<string>>;
  /** All that the instance has said so far, logs included; absent when it cannot be read. */
  log?: () => string;
  /** What stands behind the server, where that can be reached. */
  pooled?: Pooled;
  /** Attackers of others; absent when nobody looked for them. */
  tools?: Tools;
  /** Texts that no answer may hold: keys and words of others. */
  secrets: readonly string[];
  /** Requests of one family at most. */
  most: number;
}

/** The database of an instance, behind PgBouncer in transaction mode. */
export interface Pooled {
  /** Takes it away from the instance, or gives it back; resolves when that holds. */
  turn(state: ValveState): Promise<void>;
  /** Transactions of many tenants through the pooler, past the instance. */
  interleave(transactions: number, below: (end: number) => number): Promise<InterleavedFigures>;
  /** The same through a door with the fault that poolers bring out: a hole to be found. */
  interleaveBySession: Pooled['interleave'];
  /** Takes away, or gives back, the table in which requests are counted. */
  takeCounters(isAway: boolean): Promise<void>;
  /** Tenants besides the attacker's own. */
  neighbours: readonly Party[];
  /** Whether the instance ended. */
  hasEnded(): boolean;
}

/** Thrown by a planted run as soon as the hole was found. */
export class Found extends Error {}

const AT_ONCE = 12;

/** What only the inside of a program says: stacks, statements, paths of the server's disk. */
const INSIDES =
  /\n\s+at [\w.<>]+ \(?(?:file:|node:|\/)|node:internal|\b(?:packages\/server|node_modules)\/|syntax error at or near|\b(?:relation|column) "\w+" does not exist|SQLSTATE|invalid input syntax for|DatabaseError|lumatrace_(?:app|owner)\b|-----BEGIN (?:RSA |EC )?PRIVATE KEY-----\s*[A-Za-z0-9+/=]{40}/;

export class Scene {
  readonly stage: Stage;
  readonly target: Target;
  readonly tally: Tally;
  readonly random: Random;
  /** A rehearsal against an opened hole: ends at the first find. */
  readonly isPlanted: boolean;

  constructor(stage: Stage, target: Target, tally: Tally, random: Random, isPlanted: boolean) {
    this.stage = stage;
    this.target = target;
    this.tally = tally;
    this.random = random;
    this.isPlanted = isPlanted;
  }

  /** Sends one request and judges it. 5xx, insides and secrets of others count against the server whatever the judge says. */
  async fire(shot: Shot, judge: Judge = () => undefined, options: FireOptions = {}): Promise<Answer> {
    const answer = await this.ask(shot);
    if (answer.status === NOT_SENT) return answer;
    this.tally.countShot(shot, answer);
    this.judge(answer, shot, judge, options);
    return answer;
  }

  /** Sends without counting: what an attack needs before and after it. */
  ask(shot: Shot): Promise<Answer> {
    return send(shot.at === 'otlp' ? this.target.otlp : this.target.http, shot);
  }

  judge(answer: Answer, shot: Shot, judge: Judge, { mayHangUp = false, mayBeUnavailable = false }: FireOptions): void {
    const name = `${shot.method} ${shot.path} ${briefly(shot)}`;
    const { status } = answer;
    const isExcused = (status === 0 && mayHangUp) || (status === 503 && mayBeUnavailable && isUnavailable(answer));
    if ((status >= 500 || status === 0) && !isExcused) {
      this.tally.fail(status === 0 ? `no answer: ${answer.text}` : answer.text, name, status);
    } else {
      const why = judge(answer, shot) ?? this.leakIn(answer);
      if (why === undefined) this.tally.refuse();
      else this.tally.accept(why, name, status);
    }
    this.#endWhenFound();
  }

  /** What stands in an answer and should not. */
  leakIn({ text, headers }: Answer): string | undefined {
    const all = `${JSON.stringify(headers)}\n${text}`;
    if (INSIDES.test(all)) return `the answer shows the inside: ${INSIDES.exec(all)?.[0] ?? ''}`;
    return this.stage.secrets.some((secret) => all.includes(secret))
      ? 'the answer holds a secret of others'
      : undefined;
  }

  /** Fires all of them in another order, several at once, up to the limit of the run. */
  async volley(shots: readonly Shot[], judge?: Judge, options?: FireOptions): Promise<void> {
    const queue = this.some(shots);
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let shot = queue.pop(); shot !== undefined; shot = queue.pop()) await this.fire(shot, judge, options);
      }),
    );
  }

  /** As many of them, by lot, as the run may try. */
  some<T>(all: readonly T[]): T[] {
    return this.random.shuffled(all).slice(0, this.stage.most);
  }

  /** Bytes to a socket of the instance, judged on what came back. */
  async fireRaw(
    pieces: readonly (string | Uint8Array)[],
    judge: (answer: RawAnswer) => string | undefined,
    { at = 'http', ...limits }: { at?: 'http' | 'otlp'; limitMs?: number; pauseMs?: number } = {},
  ): Promise<RawAnswer> {
    const port = Number(new URL(at === 'otlp' ? this.target.otlp : this.target.http).port);
    const answer = await sendRaw(port, pieces, limits);
    this.tally.count(pieces, answer.ms);
    const sent = Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString('latin1', 0, 4_096);
    const name = sent.replace(/Host:.*\r\nAuthorization:.*\r\n/, '');
    const error = /^HTTP\/1\.1 (5\d\d)/m.exec(answer.text)?.[1];
    const why = judge(answer) ?? this.leakIn({ ...NOTHING, text: answer.text });
    // 501 is what an unknown transfer coding is answered with (RFC 9112, section 6.1); 505 an unknown version
    if (error !== undefined && error !== '501' && error !== '505') this.tally.fail(answer.text, name, Number(error));
    else if (why === undefined) this.tally.refuse();
    else this.tally.accept(why, name, 0);
    this.#endWhenFound();
    return answer;
  }

  /** Several at once, as many as the run may try. */
  async volleyRaw(
    requests: readonly (readonly (string | Uint8Array)[])[],
    judge: (answer: RawAnswer) => string | undefined,
    options: { at?: 'http' | 'otlp'; limitMs?: number; pauseMs?: number } = {},
  ): Promise<void> {
    const queue = this.some(requests);
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) await this.fireRaw(next, judge, options);
      }),
    );
  }

  /** For what is judged by more than one answer. */
  verdict(why: string | undefined, request: string, status = 0): void {
    if (why === undefined) this.tally.refuse();
    else this.tally.accept(why, request, status);
    this.#endWhenFound();
  }

  /** The server broke, told in another way than by a status of HTTP. */
  failed(what: string, request: string, status = 0): void {
    this.tally.fail(what, request, status);
    this.#endWhenFound();
  }

  #endWhenFound(): void {
    if (this.isPlanted && this.tally.hasFound) throw new Found();
  }

  /** A session of its own for a person of the tenant: what ends it disturbs nobody. */
  freshSession(role = 'owner'): Promise<string> {
    const person = this.stage.own.people.find((candidate) => candidate.role === role);
    if (person === undefined) throw new TypeError(`Expected a person who is ${role}`);
    return sessionOf(this.stage.target.http, person);
  }

  /** The credentials of the own tenant's key. */
  get ownKey(): Record<string, string> {
    return { authorization: `Bearer ${this.stage.own.apiKey}` };
  }
}

const NOTHING: Answer = { status: 0, headers: {}, body: Buffer.alloc(0), text: '', ms: 0 };

function briefly({ headers = {}, body }: Shot): string {
  const shown = Object.entries(headers)
    .filter(([name]) => !/^(authorization|cookie|x-request-id)$/i.test(name))
    .map(([name, value]) => `${name}: ${String(value)}`);
  return [...shown, typeof body === 'string' ? body : body === undefined ? '' : `${body.length} bytes`].join(' | ');
}

/** The code as a member of JSON, or at the beginning of the message of a protobuf Status. */
function isUnavailable({ text, headers }: Answer): boolean {
  const isProtobuf = headers['content-type'] === 'application/x-protobuf';
  return text.includes('"UNAVAILABLE"') || (isProtobuf && text.includes('UNAVAILABLE: '));
}

/** The credentials were looked at and the request served. */
export function wasServed({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}
