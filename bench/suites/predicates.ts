// The predicates of encypherai/c2pa-conformance-suite, read by its own reader (Python) from a picture of ours.
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestChain } from '../../packages/provenance/src/c2pa/chain.fixture.ts';
import { progress } from '../report.ts';
import { folderOf, notRun, type Suite } from './folders.ts';

const run = promisify(execFile);
const NAME = 'c2pa-conformance-suite';
const LIMIT_MS = 5 * 60_000;
/** That of its uv.lock: with cbor2 6 its reader takes every signature for missing. */
const CBOR2 = 'cbor2==5.9.0';

interface Report {
  results: { predicate_id: string; result: string; status_code?: string }[];
}

/**
 * Predicates that it skips, or only remarks on, are no cases. Its reader looks for the trust anchor inside the signature's
 * own chain, where the specification leaves the root out: what fails for that reason alone passes when it is given the
 * issuing CA as its anchor, and is explained.
 */
export async function predicates(picture: Uint8Array, chain: TestChain): Promise<Suite> {
  const source = folderOf(NAME);
  if (typeof source !== 'string') return notRun(NAME, source.notRun);
  const folder = await mkdtemp(join(tmpdir(), 'lumatrace-predicates-'));
  try {
    progress(`installing ${NAME} into ${folder}`);
    await run(process.env['PYTHON'] ?? 'python3', ['-m', 'venv', join(folder, 'venv')], { timeout: LIMIT_MS });
    const bin = (name: string): string => join(folder, 'venv', 'bin', name);
    await run(bin('pip'), ['install', '-q', source, CBOR2], { timeout: LIMIT_MS });
    const file = join(folder, 'picture.jpg');
    await writeFile(file, picture);
    const failures = async (anchorPem: string): Promise<{ cases: number; failed: string[] }> => {
      const [anchor, report] = [join(folder, 'anchor.pem'), join(folder, 'report.json')];
      await writeFile(anchor, anchorPem);
      const args = ['validate', file, '--trust-store', anchor, '--output', report];
      // it ends with 1 when a predicate failed: its report says which
      await run(bin('c2pa-conform'), args, { timeout: LIMIT_MS }).catch(() => {});
      const { results } = JSON.parse(await readFile(report, 'utf8')) as Report;
      await rm(report);
      const cases = results.filter(({ result }) => result === 'pass' || result === 'fail');
      const failed = cases.filter(({ result }) => result === 'fail');
      return {
        cases: cases.length,
        failed: failed.map((one) => `${one.predicate_id}: ${one.status_code ?? 'failed'}`),
      };
    };
    const { cases, failed } = await failures(chain.trust.anchorsPem);
    const issuer = chain.signer.certificateChainDer.at(-1) as Uint8Array;
    const still = new Set((await failures(new X509Certificate(issuer).toString())).failed);
    const others = failed.filter((one) => still.has(one));
    const explained = failed.length - others.length;
    return { name: NAME, cases, asExpected: cases - failed.length, explained, others };
  } catch (error) {
    return notRun(NAME, `it could not be run: ${String(error).slice(0, 300)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
