// The certificate of the listeners: an operator's files, or one of our own making under the data folder; read again
// when the files change, so that a renewal needs no restart.
import { X509Certificate } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { makeCertificate } from './make-certificate.ts';

/** A certificate or key that cannot be served; the sentence names the file. */
export class TlsRefused extends Error {
  readonly code = 'VALIDATION_FAILED';
}

export interface TlsFiles {
  certFile: string;
  keyFile: string;
}

/** PEM, the chain from the leaf on. */
export interface KeyPair {
  cert: string;
  key: string;
}

const DAY_MS = 86_400_000;
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** Asked for, not told: a rename over the file and a link that is turned are seen too. */
const LOOK_EVERY_MS = 2_000;
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

/** Reads both and tries them. @throws TlsRefused */
export async function readKeyPair({ certFile, keyFile }: TlsFiles, now = new Date()): Promise<KeyPair> {
  const [cert, key] = await Promise.all([textOf(certFile), textOf(keyFile)]);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
    // fails for a key of another certificate
    createSecureContext({ cert, key, minVersion: 'TLSv1.3' });
  } catch (cause) {
    // sentences of OpenSSL may quote what they read
    throw new TlsRefused(`Expected a certificate in ${certFile} and its key in ${keyFile}, both PEM.`, { cause });
  }
  const ends = new Date(leaf.validTo);
  if (ends <= now)
    throw new TlsRefused(`The certificate ${certFile} ended on ${ends.toISOString()}: put a new one there.`);
  return { cert, key };
}

/** A pair of our own in `DATA/tls`, made when there is none, it ends soon, or it lacks one of the names. */
export async function generatedFiles(dataDir: string, names: readonly string[], now = new Date()): Promise<TlsFiles> {
  const folder = join(dataDir, 'tls');
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  if (await isUsable(files, names, now)) return files;
  await mkdir(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
  const { ca, cert, key } = await makeCertificate(names, now);
  await replace(files.keyFile, key);
  await replace(files.certFile, cert);
  await replace(join(folder, 'ca.pem'), ca);
  return files;
}

async function isUsable(files: TlsFiles, names: readonly string[], now: Date): Promise<boolean> {
  const pair = await readKeyPair(files, new Date(now.getTime() + RENEW_BEFORE_MS)).catch(() => undefined);
  if (pair === undefined) return false;
  const leaf = new X509Certificate(pair.cert);
  return names.every((name) => (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) !== undefined);
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: OWNER_ONLY_FILE });
  await rename(`${file}.new`, file);
}

/**
 * Hands over each new pair; one that cannot be served is told and the one before stays. Both files are rarely replaced
 * at once: a pair that does not match yet is read again at the next change.
 * @returns what ends the watch
 */
export function watchKeyPair(
  files: TlsFiles,
  { onChange, onRefused }: { onChange: (pair: KeyPair) => void; onRefused: (error: Error) => void },
): () => void {
  const read = (): void => void readKeyPair(files).then(onChange, onRefused);
  const paths = [files.certFile, files.keyFile];
  for (const path of paths) watchFile(path, { interval: LOOK_EVERY_MS, persistent: false }, read);
  return () => {
    for (const path of paths) unwatchFile(path, read);
  };
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new TlsRefused(`Expected a readable file at ${file} but received ${cause.code}.`, { cause });
  });
}
