// The API key: asked for when it is first needed, kept, asked for again when the server refuses it; and a warning when its
// text stands in the code of the caller. The key itself is never printed.
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Notices } from './notices.ts';
import type { ApiKey } from './options.ts';

const MAX_SOURCE_BYTES = 2 * 1024 * 1024;
const MAX_FILES = 6;
const MIN_KEY_LENGTH = 8;

export class KeySource {
  readonly #key: ApiKey | undefined;
  readonly #timeoutMs: number;
  #known: Promise<string | undefined> | undefined;

  constructor(key: ApiKey | undefined, timeoutMs: number) {
    this.#key = key;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether asking again may give another key. */
  get canRenew(): boolean {
    return typeof this.#key === 'function';
  }

  /** Rejects when the provider does, or does not answer in time; the next call asks again. */
  current(): Promise<string | undefined> {
    if (this.#known !== undefined) return this.#known;
    const asked = this.#ask();
    this.#known = asked;
    asked.catch(() => {
      if (this.#known === asked) this.#known = undefined;
    });
    return asked;
  }

  /** The key was refused: the next call asks for another. */
  forget(): void {
    if (this.canRenew) this.#known = undefined;
  }

  async #ask(): Promise<string | undefined> {
    const key = this.#key;
    if (typeof key !== 'function') return key;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the provider of the key did not answer in time')), this.#timeoutMs);
      timer.unref();
    });
    try {
      return await Promise.race([key(), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The files on a stack below the first frame's, nearest first, without Node's and without installed packages. */
export function callerFiles(stack: string | undefined): string[] {
  const [own, ...callers] = (stack?.split('\n').slice(1) ?? []).map(placeOf);
  const files = new Set<string>();
  for (const file of callers) {
    if (file !== undefined && file !== own && !/[\\/]node_modules[\\/]/.test(file)) files.add(file);
  }
  return [...files].slice(0, MAX_FILES);
}

function placeOf(line: string): string | undefined {
  const place = /(?:\(|at |async )(file:\/\/[^)]+?|\/[^)]+?|[A-Za-z]:\\[^)]+?):\d+:\d+\)?$/.exec(line)?.[1];
  return place?.startsWith('file:') === true ? fileURLToPath(place) : place;
}

/**
 * Warns when the text of the key stands in one of the files. A key that is the value of an environment variable is no
 * written one, whatever the files say.
 */
export async function warnOfWrittenKey(
  key: ApiKey | undefined,
  files: readonly string[],
  notices: Notices,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  if (typeof key !== 'string' || key.length < MIN_KEY_LENGTH) return;
  if (Object.values(environment).includes(key)) return;
  for (const file of files) {
    const line = await lineOf(key, file);
    if (line === undefined) continue;
    notices.once(
      'written-key',
      `the API key looks written into the code (${file}:${line}). Read it from the environment (LUMATRACE_API_KEY) or give a function that asks your secret manager, and revoke this one.`,
    );
    return;
  }
}

async function lineOf(key: string, file: string): Promise<number | undefined> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_SOURCE_BYTES), 0, MAX_SOURCE_BYTES, 0);
      const text = buffer.toString('utf8', 0, bytesRead);
      const at = text.indexOf(key);
      return at === -1 ? undefined : text.slice(0, at).split('\n').length;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}
