// Pictures of others that decoders were broken with: each decodes, or is refused with a code. Nothing else may happen.
import { decodeLuma } from '../../packages/provenance/src/codec/codec.ts';
import { ImageError, readImageHeader } from '../../packages/provenance/src/image.ts';
import { lookedAtSize } from '../../packages/provenance/src/watermark/frame.ts';
import { filesIn, folderOf, notRun, runSuite, type CaseFile, type Suite } from './folders.ts';

async function decodes({ bytes }: CaseFile): Promise<boolean | string> {
  try {
    const header = readImageHeader(bytes);
    const { width, height } = lookedAtSize(header);
    const luma = await decodeLuma(bytes, width, height);
    return luma.data.length === width * height && luma.data.every(Number.isFinite);
  } catch (error) {
    return error instanceof ImageError ? false : `not a refusal: ${String(error)}`;
  }
}

/** W. van Schaik's: names that begin with x are damaged on purpose, all others are right. */
export async function pngSuite(): Promise<Suite> {
  const folder = folderOf('pngsuite/png', 'pngsuite');
  if (typeof folder !== 'string') return notRun('pngsuite', folder.notRun);
  return runSuite(
    'pngsuite',
    filesIn(folder, (path) => path.endsWith('.png')),
    async (file) => {
      const seen = await decodes(file);
      const isDamaged = (file.name.split('/').at(-1) ?? '').startsWith('x');
      if (typeof seen === 'string') return seen;
      return seen !== isDamaged ? 'expected' : seen ? 'decoded' : 'refused';
    },
  );
}

/** Of libjpeg-turbo: found by fuzzers, right or wrong; what counts is that each is answered. */
export async function seedCorpora(): Promise<Suite> {
  const folder = folderOf('seed-corpora');
  if (typeof folder !== 'string') return notRun('seed-corpora', folder.notRun);
  return runSuite(
    'seed-corpora',
    filesIn(folder, (path) => !/\.(md|txt)$/i.test(path) && !path.includes('/.git')),
    async (file) => {
      const seen = await decodes(file);
      return typeof seen === 'string' ? seen : 'expected';
    },
  );
}
