// The tables of docs/guides/verification.md, from the code: `node …/guide.fixture.ts --write`. A test compares.
import { readFile, writeFile } from 'node:fs/promises';
import type { C2paStatus } from '@lumatrace/provenance/c2pa/verify.ts';
import { decide, type Evidence, type WatermarkStatus } from '@lumatrace/provenance/decision.ts';
import { format, resolveConfig } from 'prettier';
import { isAuthentic } from './answer.fixture.ts';
import { HISTORIES } from './histories.fixture.ts';

const GUIDE = new URL('../../../../../docs/guides/verification.md', import.meta.url);

const CREDENTIALS: readonly C2paStatus[] = ['VALID', 'INVALID', 'TAMPERED', 'MISSING'];
const WATERMARKS: readonly WatermarkStatus[] = ['DETECTED', 'MARGINAL', 'NOT_FOUND'];
/** Registration: whose manifest it is. Fingerprint: whether the picture shows what was recorded. */
const MANIFESTS = [true, false] as const;
const LOOKS = { 'as recorded': 0, other: 120 } as const;
const SIZE = { width: 1_024, height: 768, quality: 92 } as const;

function decisionRows(): string[] {
  const rows: string[] = [];
  for (const status of CREDENTIALS)
    for (const verdict of WATERMARKS)
      for (const matches of status === 'MISSING' ? [null] : MANIFESTS)
        for (const [looks, fingerprintDistance] of Object.entries(LOOKS)) {
          const evidence: Evidence = {
            c2pa: { status, findings: [] },
            watermark: { z: 0, log10p: 0, verdict },
            recorded: SIZE,
            manifestMatches: matches,
            picture: { ...SIZE, decoded: true, fingerprintDistance },
          };
          const issued = matches === null ? 'none' : matches ? 'this photo' : 'something else';
          rows.push(`| ${status} | ${issued} | ${verdict} | ${looks} | ${decide(evidence).message} |`);
        }
  return rows;
}

const historyRows = (): string[] =>
  HISTORIES.map((history) => {
    const { name, c2pa, watermark, tamperClass } = history;
    return `| ${name} | ${isAuthentic(history) ? '**yes**' : 'no'} | ${c2pa} | ${watermark} | ${tamperClass ?? 'null'} |`;
  });

const TABLES = {
  decision: () => [
    '| credentials | issued for | watermark | fingerprint | answer |',
    '|---|---|---|---|---|',
    ...decisionRows(),
  ],
  histories: () => [
    '| history | authentic | credentials | watermark | class |',
    '|---|---|---|---|---|',
    ...historyRows(),
  ],
} as const;

/** The guide as it stands, and as the code says that it should. */
export async function guide(): Promise<{ present: string; expected: string }> {
  const present = await readFile(GUIDE, 'utf8');
  let text = present;
  for (const [name, rows] of Object.entries(TABLES)) {
    const block = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
    if (!block.test(text)) throw new Error(`Expected the marks of the table ${name} in ${GUIDE.pathname}`);
    text = text.replace(block, (_all, open: string, close: string) => `${open}\n${rows().join('\n')}\n\n${close}`);
  }
  const style = await resolveConfig(GUIDE.pathname);
  return { present, expected: await format(text, { ...style, parser: 'markdown' }) };
}

if (import.meta.main && process.argv.includes('--write')) await writeFile(GUIDE, (await guide()).expected);
