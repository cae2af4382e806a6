// What happens to files in the histories: pure functions over bytes, nothing of the verifier in them.
import type { TestChain } from '@lumatrace/provenance/c2pa/chain.fixture.ts';
import { parseClaimSignature, sigStructure } from '@lumatrace/provenance/c2pa/cose.ts';
import { extractManifest, insertManifest } from '@lumatrace/provenance/c2pa/embed.ts';
import { activeManifest, payloadOf } from '@lumatrace/provenance/c2pa/jumbf.ts';
import { signRequest } from '@lumatrace/provenance/c2pa/requests.fixture.ts';
import { signImage, type SignRequest } from '@lumatrace/provenance/c2pa/sign.ts';
import { sniffFormat } from '@lumatrace/provenance/image.ts';
import sharp, { type OutputInfo, type Sharp } from 'sharp';

/** The manifest store of a file and the file without it, its pixels bit for bit the same. */
export function parted(file: Buffer): { store: Uint8Array; bare: Buffer } {
  const found = extractManifest(file, 'jpeg');
  if (found === null) throw new Error('Expected a file with a manifest store');
  const bare = Buffer.concat([file.subarray(0, found.start), file.subarray(found.end)]);
  return { store: found.store, bare };
}

/** Puts a store into a file without one, as an attacker with the right tool would. */
export const transplanted = (bare: Buffer, store: Uint8Array): Buffer =>
  Buffer.from(insertManifest(bare, 'jpeg', store));

/** Decoded, changed, and saved as JPEG without any metadata. */
export const saved = (file: Buffer, change: (picture: Sharp) => Sharp, quality = 90): Promise<Buffer> =>
  change(sharp(file)).jpeg({ quality }).toBuffer();

/** As a phone makes it: the picture between two bars of an interface, as PNG. */
export async function screenshot(file: Buffer): Promise<Buffer> {
  const shown = await sharp(file).resize({ width: 900 }).png().toBuffer();
  return sharp(shown).extend({ top: 90, bottom: 120, left: 60, right: 60, background: '#202428' }).png().toBuffer();
}

/** The difference that a mark made to one picture, added to another of the same size: a copied watermark. */
export async function copiedMark(original: Buffer, marked: Buffer, onto: Buffer): Promise<Buffer> {
  const [{ data: before }, { data: after }, { data: target, info }] = [
    await raw(original),
    await raw(marked),
    await raw(onto),
  ];
  const data = Buffer.from(target.map((value, at) => clamped(value + (after[at] ?? 0) - (before[at] ?? 0))));
  return sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } })
    .jpeg({ quality: 95 })
    .toBuffer();
}

const raw = (file: Buffer): Promise<{ data: Buffer; info: OutputInfo }> =>
  sharp(file).raw().toBuffer({ resolveWithObject: true });

const clamped = (value: number): number => Math.max(0, Math.min(255, value));

/** Credentials of somebody else around a file, saying what they like. */
export async function signedBy(chain: TestChain, bare: Buffer, extra: Partial<SignRequest> = {}): Promise<Buffer> {
  const format = sniffFormat(bare);
  if (format === null) throw new Error('Expected a picture');
  return Buffer.from((await signImage({ ...signRequest(chain, bare, format), ...extra })).bytes);
}

// COSE algorithms as CBOR writes them: -7 is ES256; -9 is ESP256 (RFC 9864), the same mathematics under a name that C2PA
// does not allow
const [ES256, ESP256] = [0x26, 0x28] as const;

/** The claim signed anew and rightly, by the same key, under the name of an algorithm that C2PA does not allow. */
export async function signedAsEsp256(chain: TestChain, file: Buffer): Promise<Buffer> {
  const { store } = parted(file);
  const boxes = activeManifest(store);
  const { protectedHeader, signature } = parseClaimSignature(payloadOf(store, boxes.signature));
  const header = Buffer.from(protectedHeader);
  const at = header.indexOf(Buffer.of(0x01, ES256));
  if (at < 0) throw new Error('Expected a claim that is signed with ES256');
  header[at + 1] = ESP256;
  const fresh = await chain.signer.sign(sigStructure(header, payloadOf(store, boxes.claim)));
  return replaced(replaced(file, protectedHeader, header), signature, fresh);
}

function replaced(file: Buffer, before: Uint8Array, after: Uint8Array): Buffer {
  const at = file.indexOf(before);
  if (at < 0 || before.length !== after.length) throw new Error('Expected bytes of the same length in the file');
  const changed = Buffer.from(file);
  changed.set(after, at);
  return changed;
}

/** The first place where `pattern` stands, its byte `at` changed to `value`. */
export function patched(file: Buffer, pattern: Buffer, at: number, value: number): Buffer {
  const found = file.indexOf(pattern);
  if (found < 0) throw new Error(`Expected to find ${pattern.toString('hex')}`);
  const changed = Buffer.from(file);
  changed[found + at] = value;
  return changed;
}
