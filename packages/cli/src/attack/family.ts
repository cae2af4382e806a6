// A family of attacks: what it tries, and the holes on which it has to prove itself first.
import type { Scene, Stage } from './scene.ts';
import type { Answer } from './shot.ts';
import type { ToolName } from './tools.ts';

/** A request as it came to the proxy with the hole. */
export interface Passing {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Buffer;
}

/** What the proxy with the hole may do besides forwarding. */
export interface Way {
  /** Hands the request, changed or not, to the real server. */
  forward(changes?: Partial<Passing>): Promise<Reply>;
  /** Says something where the family reads the log. */
  write(line: string): void;
  scene: Scene;
}

export interface Reply extends Pick<Answer, 'status'> {
  headers: Record<string, string | string[]>;
  body: Buffer | string;
}

/** A fault planted in front of the real server, or a server of its own that has it. */
export type Hole =
  | { name: string; open(passing: Passing, way: Way): Promise<Reply> | Reply }
  | { name: string; serve(scene: Scene): Promise<{ port: number; close(): void }> }
  /** The hole is behind the server: what the stage has there is exchanged. */
  | { name: string; behind(stage: Stage): Stage };

export interface Family {
  name: string;
  /** One line for people. */
  about: string;
  holes: readonly Hole[];
  /** Needs two tenants, and so an instance that may be populated. */
  needsForeign?: true;
  /** Needs the port of gRPC. */
  needsGrpc?: true;
  /** Runs against the instance whose database lies behind PgBouncer and can be taken away. */
  needsPooler?: true;
  /** Needs this program of others. */
  needsTool?: ToolName;
  run(scene: Scene): Promise<void>;
}

/** An answer of a hole. */
export function reply(status: number, body: string | object, headers: Record<string, string> = {}): Reply {
  const isText = typeof body === 'string';
  return {
    status,
    headers: { 'content-type': isText ? 'text/plain' : 'application/json', ...headers },
    body: isText ? body : JSON.stringify(body),
  };
}

/** The headers but those. */
export function without(headers: Record<string, string>, ...names: string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}
