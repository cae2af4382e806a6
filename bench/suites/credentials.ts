// C2PA files of others, judged by what their own documents say about them, and strings of attackers in every text field.
import { rootCertificates } from 'node:tls';
import { verifyC2pa, type C2paVerification } from '../../packages/provenance/src/c2pa/verify.ts';
import { signImage } from '../../packages/provenance/src/c2pa/sign.ts';
import { makeChain } from '../../packages/provenance/src/c2pa/chain.fixture.ts';
import { signRequest } from '../../packages/provenance/src/c2pa/requests.fixture.ts';
import { ImageError, readImageHeader, type ImageFormat } from '../../packages/provenance/src/image.ts';
import { filesIn, folderOf, notRun, runSuite, type CaseFile, type Suite, type Verdict } from './folders.ts';

/**
 * No signer is trusted: these are tests of their makers, and none of them is to be believed. Their time stamps are of a
 * public authority (DigiCert) whose root every browser has, so they are to be believed where nobody touched them.
 */
const TRUST = { anchorsPem: '', timestampAnchorsPem: rootCertificates.join('\n') };

/**
 * What the name of a file says (README of the repository): E-clm a missing claim, E-dat and X another hash, E-sig a wrong
 * signature, E-uri a changed assertion. The part before the first hyphenated error belongs to the active manifest.
 */
const REJECTED: readonly (readonly [RegExp, readonly string[]])[] = [
  [/(^|-)E-clm-/, ['claim.missing', 'ingredient.manifest.missing']],
  [/(^|-)E-dat-/, ['assertion.dataHash.mismatch']],
  [/(^|-)E-sig-/, ['claimSignature.mismatch']],
  [/(^|-)E-uri-/, ['assertion.hashedURI.mismatch']],
  [/(^|-)X/, ['assertion.dataHash.mismatch']],
  // their exclusion begins before the manifest store and leaves bytes unsigned. c2patool of 2023 took that; c2pa-rs says
  // since that the exclusion "does not match the manifest location in the asset"
  [/^truepic-20230212-/, ['assertion.dataHash.mismatch']],
  // the error lies in an ingredient: its time stamp no longer fits its signature
  [/(^|-)CIE-sig-/, ['claimSignature.mismatch', 'timeStamp.mismatch']],
];
/** Pictures without credentials, by the same README. */
const WITHOUT = /^adobe-20220124-(A|I)\.jpg$/;
async function look(file: CaseFile): Promise<C2paVerification | ImageError> {
  let format: ImageFormat;
  try {
    format = readImageHeader(file.bytes).format;
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  return verifyC2pa({ bytes: file.bytes, format, trust: TRUST });
}

const failuresOf = ({ findings }: C2paVerification): string[] =>
  findings.filter(({ severity }) => severity === 'failure').map(({ code }) => code);

async function judgeByName(file: CaseFile): Promise<Verdict> {
  const seen = await look(file);
  if (seen instanceof ImageError) return `refused: ${seen.code}`;
  const name = file.name.split('/').at(-1) ?? '';
  const shown = `${seen.status} ${[...new Set(failuresOf(seen))].join(' ')}`;
  if (seen.status === 'VALID') return shown;
  if (WITHOUT.test(name)) return seen.status === 'MISSING' ? 'expected' : shown;
  const stem = name.replace(/^adobe-\d+-/, '');
  const [, codes] = REJECTED.find(([pattern]) => pattern.test(stem)) ?? [];
  if (codes !== undefined) return codes.some((code) => failuresOf(seen).includes(code)) ? 'expected' : shown;
  // nothing was done to it: it is intact, and its signer is a stranger
  const isStranger =
    seen.status === 'INVALID' && failuresOf(seen).every((code) => code.startsWith('signingCredential.'));
  return isStranger ? 'expected' : shown;
}

const isOther = (path: string): boolean =>
  /\.(mp4|mov|avi|m4a|mp3|wav|pdf|otf|ttf|heic|avif|gif|svg|tiff?|dng)$/i.test(path);
const isPicture = (path: string): boolean => /\.(jpe?g|png|webp)$/i.test(path);

export async function publicTestfiles(): Promise<Suite[]> {
  const folder = folderOf('public-testfiles');
  if (typeof folder !== 'string') {
    return ['public-testfiles', 'public-testfiles, the rest'].map((name) => notRun(name, folder.notRun));
  }
  // the repository moved them once
  const isLegacy = (path: string): boolean =>
    /\/(legacy\/1\.4\/)?image\/jpeg\/[^/]+\.jpe?g$/i.test(path.slice(folder.length));
  const jpegs = await runSuite('public-testfiles', filesIn(folder, isLegacy), judgeByName);
  const rest = await runSuite('public-testfiles, the rest', filesIn(folder, isOther), async (file) => {
    const seen = await look(file);
    return seen instanceof ImageError && seen.code === 'UNSUPPORTED_MEDIA_TYPE' ? 'expected' : 'not refused';
  });
  return [jpegs, rest];
}

/** Fixtures of c2pa-rs whose names say what is wrong; of the others only that none is believed. */
export async function c2paRs(): Promise<Suite> {
  const folder = folderOf('c2pa-rs/sdk/tests/fixtures');
  if (typeof folder !== 'string') return notRun('c2pa-rs', folder.notRun);
  return runSuite('c2pa-rs', filesIn(folder, isPicture), async (file) => {
    const seen = await look(file);
    if (seen instanceof ImageError) return 'expected';
    const name = file.name.split('/').at(-1) ?? '';
    const shown = `${seen.status} ${[...new Set(failuresOf(seen))].join(' ')}`;
    if (seen.status === 'VALID') return shown;
    if (/^(E-|X|adobe-.*-E-)/.test(name)) return judgeByName({ ...file, name: name.replace(/^adobe-\d+-/, '') });
    // only points to a manifest elsewhere, which is never fetched
    if (/^(cloud|no_manifest|libpng-test_with_url)/.test(name)) return seen.status === 'TAMPERED' ? 'expected' : shown;
    // an unknown hash algorithm, and a claim of a draft before 1.0
    if (/^(no_alg|prerelease)/.test(name)) return seen.status === 'TAMPERED' ? 'expected' : shown;
    return seen.status === 'INVALID' || seen.status === 'MISSING' ? 'expected' : shown;
  });
}

/** Every line of every list as title and as author: signed, VALID, and shown without what a terminal or page would obey. */
export async function c2paAttacks(image: Uint8Array): Promise<Suite> {
  const folder = folderOf('c2pa-attacks/attacks');
  if (typeof folder !== 'string') return notRun('c2pa-attacks', folder.notRun);
  const chain = await makeChain();
  const lines = [...filesIn(folder, (path) => path.endsWith('.attack'))].flatMap(({ name, bytes }) =>
    Buffer.from(bytes)
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line, i) => ({ name: `${name}:${i + 1}`, bytes: new TextEncoder().encode(line) })),
  );
  return runSuite('c2pa-attacks', lines, async ({ bytes }) => {
    const text = new TextDecoder().decode(bytes);
    try {
      const signed = await signImage({ ...signRequest(chain, image, 'jpeg'), title: text, author: text });
      const { status, manifest } = await verifyC2pa({ bytes: signed.bytes, format: 'jpeg', trust: chain.trust });
      const shown = manifest?.title ?? '';
      if (status !== 'VALID') return status;
      return /\p{C}/u.test(shown.replaceAll('\ufffd', '')) ? `shown as it is: ${JSON.stringify(shown)}` : 'expected';
    } catch (error) {
      // longer than a field may be
      return error instanceof TypeError && text.length > 500 ? 'expected' : String(error);
    }
  });
}
