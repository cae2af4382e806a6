// Roots that an operator names in a file, such as the C2PA trust list: bounded, read again when the file changes. A file
// that became wrong changes nothing: the roots before stay.
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';

/** The file cannot be used: the message says why. */
export class AnchorsRefused extends Error {
  readonly code = 'TRUST_ANCHORS';
}

const MAX_BYTES = 4_194_304;
const MOST_CERTIFICATES = 1_000;
const BEGIN = /-----BEGIN ([A-Z0-9 ]+)-----/g;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** @returns a function that gives the file's roots as PEM. It throws AnchorsRefused until they could be read once. */
export function watchAnchors(file: string, onWarning?: (warning: { message: string }) => void): () => Promise<string> {
  let known: { mark: string; pem: string } | undefined;
  return async () => {
    const mark = await markOf(file);
    if (known?.mark === mark) return known.pem;
    try {
      known = { mark, pem: await readAnchorsFile(file) };
    } catch (error) {
      if (known === undefined) throw error;
      // said once for each change
      known = { mark, pem: known.pem };
      onWarning?.({ message: `The trust anchors before stay in use: ${(error as Error).message}` });
    }
    return known.pem;
  };
}

async function markOf(file: string): Promise<string> {
  return stat(file).then(
    ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
    () => 'missing',
  );
}

async function readAnchorsFile(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) throw new AnchorsRefused(`The file ${file} cannot be read.`);
  if (found.size > MAX_BYTES) throw new AnchorsRefused(`Expected at most ${MAX_BYTES} bytes in ${file}.`);
  return checkAnchors(await readFile(file, 'utf8'), file);
}

/** The roots of a PEM bundle, and nothing else of it. @throws AnchorsRefused when it holds anything but CAs, a key say */
export function checkAnchors(text: string, where: string, most = MOST_CERTIFICATES): string {
  const kinds = [...text.matchAll(BEGIN)].map(([, kind]) => kind);
  if (kinds.some((kind) => kind !== 'CERTIFICATE'))
    throw new AnchorsRefused(`Expected nothing but certificates in ${where}.`);
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0 || certificates.length > most || certificates.length !== kinds.length)
    throw new AnchorsRefused(`Expected 1 to ${most} certificates in PEM in ${where} but found ${certificates.length}.`);
  for (const [index, pem] of certificates.entries())
    if (!isAuthority(pem)) throw new AnchorsRefused(`Certificate ${index + 1} in ${where} is none of an authority.`);
  return certificates.join('\n');
}

function isAuthority(pem: string): boolean {
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false;
  }
}
