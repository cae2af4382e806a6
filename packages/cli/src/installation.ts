// The running installation that a command talks to, and how it asks: with a key, patiently, and with answers in words.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CannotAnswer, UsageError } from './command.ts';

export interface Installation {
  url: string;
  apiKey: string;
}

type Values = Record<string, string | boolean | undefined>;

/** Options of every command that talks to an installation. */
export const INSTALLATION_OPTIONS = { data: { type: 'string' }, url: { type: 'string' } } as const;

export const INSTALLATION_HELP = `  --data       where \`up\` keeps its data: the address and the key are read from first-run.json there (default: .data)
  --url        address of the installation; its key is then read from LUMATRACE_API_KEY`;

/** From --url and the environment, or from first-run.json. @throws UsageError, CannotAnswer */
export async function installationOf(values: Values): Promise<Installation> {
  if (typeof values['url'] === 'string') {
    const apiKey = process.env['LUMATRACE_API_KEY'];
    if (apiKey === undefined) throw new UsageError('Expected the key in LUMATRACE_API_KEY, since --url is given.');
    return { url: values['url'].replace(/\/+$/, ''), apiKey };
  }
  const file = join(typeof values['data'] === 'string' ? values['data'] : '.data', 'first-run.json');
  try {
    const { url, apiKey } = JSON.parse(await readFile(file, 'utf8')) as Installation;
    return { url, apiKey };
  } catch (cause) {
    throw new CannotAnswer(`cannot read ${file}: start with \`./lumatrace up\` first, or give --url.`, { cause });
  }
}

const MAX_TRIES = 5;
const MAX_WAIT_SECONDS = 30;
const REQUEST_LIMIT_MS = 180_000;

/** There is no installation there. */
export class NoInstallation extends CannotAnswer {}

/** What the installation refused, in its own words. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Posts a form; waits and asks again while the installation is busy (429, 503). `form` is called for every try.
 * @throws CannotAnswer when there is no answer, Refused for an answer that is no success
 */
export function post(
  installation: Installation,
  path: string,
  form: () => FormData,
  headers: Record<string, string> = {},
): Promise<Response> {
  return ask(installation, path, () => ({ method: 'POST', headers, body: form() }));
}

/** As `post`, for what is only read. */
export const get = (installation: Installation, path: string): Promise<Response> => ask(installation, path, () => ({}));

type Asked = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };

async function ask({ url, apiKey }: Installation, path: string, asked: () => Asked): Promise<Response> {
  for (let tries = 1; ; tries++) {
    const { headers, ...init } = asked();
    const response = await fetch(url + path, {
      ...init,
      headers: { authorization: `Bearer ${apiKey}`, ...headers },
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    }).catch((cause: unknown) => {
      throw new NoInstallation(`${url} does not answer.`, { cause });
    });
    if (response.ok) return response;
    const isBusy = response.status === 429 || response.status === 503;
    if (!isBusy || tries === MAX_TRIES) throw new Refused(response.status, await wordsOf(response));
    await response.body?.cancel();
    const waitSeconds = Number(response.headers.get('retry-after') ?? tries);
    await sleep(1_000 * Math.min(MAX_WAIT_SECONDS, Math.max(1, waitSeconds)));
  }
}

async function wordsOf(response: Response): Promise<string> {
  const text = (await response.text()).slice(0, 2_000);
  try {
    const { code, message, detail } = JSON.parse(text) as { code?: string; message?: string; detail?: string };
    return `${code ?? response.status}: ${message ?? detail ?? ''}`;
  } catch {
    return `${response.status}: ${text.slice(0, 200)}`;
  }
}
