// `log KEPT`: has the transparency log only grown since a checkpoint that was kept?
import { readFile, rename, writeFile } from 'node:fs/promises';
import { logOfPem, readCheckpoint, type Checkpoint, type LogIdentity } from '@lumatrace/provenance/log/checkpoint.ts';
import { LogError } from '@lumatrace/provenance/log/error.ts';
import { hashesOf } from '@lumatrace/provenance/log/receipt.ts';
import { isConsistent, MAX_PROOF_HASHES } from '@lumatrace/provenance/log/tree.ts';
import { CannotAnswer, UsageError, type Command } from '../command.ts';
import { INSTALLATION_OPTIONS, installationOf } from '../installation.ts';

const ANSWER_LIMIT_MS = 30_000;
const MAX_ANSWER_LENGTH = 65_536;

export const command: Command = {
  summary: 'tell whether the transparency log has only grown since a kept checkpoint',
  help: `
Usage: ./lumatrace log KEPT --log-key KEY.pem [--data .data | --url URL] [--write] [--json]

Asks the installation for its newest checkpoint and for the proof that the tree of the checkpoint in the file KEPT is the
beginning of it. Needs no account. Run it regularly, on another machine: a log that was rewritten, cut off or signed by
another key cannot give that proof.

  --log-key    PEM file with the log's key, kept from before: curl URL/api/v1/log/key.pem
  --data       where \`up\` keeps its data: the address is read from first-run.json there (default: .data)
  --url        address of the installation
  --write      keep the newest checkpoint in KEPT when it is proved; makes the file the first time
  --json       one JSON object on stdout

Exit codes: 0 it has only grown, 1 it has not: keep both checkpoints, 2 wrong use, 3 cannot answer.`,
  options: {
    ...INSTALLATION_OPTIONS,
    'log-key': { type: 'string' },
    write: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(values, [file, ...more]) {
    if (file === undefined || more.length > 0) throw new UsageError('Expected one file with a kept checkpoint.');
    const keyFile = values['log-key'];
    if (typeof keyFile !== 'string') throw new UsageError("Expected --log-key, the log's key kept from before.");
    const log = reading(keyFile, logOfPem, await contentOf(keyFile));
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined && values['write'] !== true) throw new CannotAnswer(`cannot read ${file}.`);
    const kept = text === undefined ? undefined : reading(file, (note) => readCheckpoint(log, note), text);
    const url =
      typeof values['url'] === 'string' ? values['url'].replace(/\/+$/, '') : (await installationOf(values)).url;
    const { fault, newest, note } = await compare(url, log, kept);
    if (fault === undefined && values['write'] === true) await writeWhole(file, note);
    const told = { grew: fault === undefined, kept: kept?.size ?? null, newest: newest?.size ?? null };
    process.stdout.write(
      values['json'] === true
        ? `${JSON.stringify({ ...told, fault: fault ?? null, checkpoint: note })}\n`
        : `${fault ?? `The log has only grown: ${kept?.size ?? 0} leaves, now ${told.newest}.`}\n`,
    );
    return fault === undefined ? 0 : 1;
  },
};

interface Compared {
  /** One sentence; undefined when the newest tree goes on from the kept one. */
  fault?: string;
  newest?: Checkpoint;
  note: string;
}

async function compare(url: string, log: LogIdentity, kept: Checkpoint | undefined): Promise<Compared> {
  const note = await textFrom(`${url}/api/v1/log/checkpoint`);
  let newest: Checkpoint;
  try {
    newest = readCheckpoint(log, note);
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    return { note, fault: `The newest checkpoint is not to be believed: ${error.message}` };
  }
  if (kept === undefined) return { note, newest };
  if (newest.size < kept.size)
    return { note, newest, fault: `The log shrank: ${kept.size} leaves were signed, now ${newest.size}.` };
  const proof = kept.size === 0 || kept.size === newest.size ? [] : await proofFrom(url, kept.size, newest.size);
  if (isConsistent(kept, newest, proof)) return { note, newest };
  return {
    note,
    newest,
    fault: `The log was rewritten: its tree of ${kept.size} leaves is not the one that was kept.`,
  };
}

async function proofFrom(url: string, first: number, second: number) {
  const text = await textFrom(`${url}/api/v1/log/consistency?first=${first}&second=${second}`);
  try {
    const { proof } = JSON.parse(text) as { proof: string[] };
    if (!Array.isArray(proof) || proof.length > MAX_PROOF_HASHES) return [];
    return hashesOf(proof.map(String));
  } catch {
    // what is no proof proves nothing
    return [];
  }
}

/** @throws CannotAnswer */
async function textFrom(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) }).catch((cause: unknown) => {
    throw new CannotAnswer(`${url} does not answer.`, { cause });
  });
  const text = await response.text();
  if (!response.ok || text.length > MAX_ANSWER_LENGTH) throw new CannotAnswer(`${url} answered ${response.status}.`);
  return text;
}

const contentOf = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CannotAnswer(`cannot read ${file}.`, { cause });
  });

/** @throws CannotAnswer for a file that is not what it should be */
function reading<T>(file: string, read: (text: string) => T, text: string): T {
  try {
    return read(text);
  } catch (cause) {
    if (!(cause instanceof LogError)) throw cause;
    throw new CannotAnswer(`${file}: ${cause.message}`, { cause });
  }
}

/** Never half a checkpoint under its name. */
async function writeWhole(file: string, text: string): Promise<void> {
  const unfinished = `${file}.${process.pid}.part`;
  await writeFile(unfinished, text);
  await rename(unfinished, file);
}
