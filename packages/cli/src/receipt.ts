// Receipts of the transparency log as files: checked without network, and fetched beside a protected picture.
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { logOfPem, type LogIdentity } from '@lumatrace/provenance/log/checkpoint.ts';
import { checkReceipt, type Receipt } from '@lumatrace/provenance/log/receipt.ts';
import { CannotAnswer } from './command.ts';
import { findingLines, row } from './credentials-text.ts';
import { get, type Installation } from './installation.ts';
import type { PictureFile } from './picture-file.ts';

export const PROOF_HELP = `  --proof      receipt of the transparency log, a JSON file: whether the log holds an entry about this very file
  --log-key    PEM file with the log's key, kept from before; of an installation: curl URL/api/v1/log/key.pem`;

const MAX_FILE_BYTES = 131_072;
/** The log takes entries in about once a second. */
const WAIT_MS = 500;
const MAX_TRIES = 30;

/** Prints what the receipt shows about the picture. @returns 0 the log holds it, 1 it does not, 3 key or proof missing */
export async function verifyReceipt(
  { name, bytes }: PictureFile,
  proofFile: string,
  keyFile: string | boolean | undefined,
  asJson: boolean,
): Promise<number> {
  const log = typeof keyFile === 'string' ? logOf(keyFile, await readSmall(keyFile)) : null;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const { verdict, entry, findings } = checkReceipt(jsonOf(await readSmall(proofFile)), log, sha256);
  if (asJson) process.stdout.write(`${JSON.stringify({ file: name, sha256, log: verdict, entry, findings })}\n`);
  else {
    const said = entry === null ? [] : [row('entry', `${entry.action} ${entry.object}`), row('at', entry.at)];
    process.stdout.write(`${[SENTENCES[verdict], ...said, ...findingLines(findings)].join('\n')}\n`);
  }
  return EXIT_CODES[verdict];
}

const EXIT_CODES = { included: 0, refused: 1, unknown: 3 } as const;
const SENTENCES = {
  included: 'The transparency log holds an entry about this file.',
  refused: 'This receipt does not show that the transparency log holds this file.',
  unknown: 'Whether the transparency log holds this file cannot be said from what is here.',
} as const;

function logOf(file: string, pem: string): LogIdentity {
  try {
    return logOfPem(pem);
  } catch (cause) {
    throw new CannotAnswer(`${file}: ${(cause as Error).message}`, { cause });
  }
}

// what is no JSON is no receipt, and judged as such
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function readSmall(file: string): Promise<string> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new CannotAnswer(`cannot read ${file}.`, { cause });
  });
  if (!found.isFile() || found.size > MAX_FILE_BYTES)
    throw new CannotAnswer(`Expected ${file} to be a file of at most ${MAX_FILE_BYTES} bytes.`);
  return readFile(file, 'utf8');
}

/** The newest receipt of a photo; with its proof unless the log takes longer than a moment. @throws CannotAnswer */
export async function fetchReceipt(installation: Installation, photoId: string): Promise<Receipt> {
  for (let tries = 1; ; tries++) {
    const answer = await get(installation, `/api/v1/photos/${encodeURIComponent(photoId)}/log-proof`);
    const [receipt] = ((await answer.json()) as { data: Receipt[] }).data;
    if (receipt === undefined) throw new CannotAnswer(`The log of ${installation.url} knows nothing of ${photoId}.`);
    if (receipt.proof !== undefined || tries === MAX_TRIES) return receipt;
    await sleep(WAIT_MS);
  }
}
