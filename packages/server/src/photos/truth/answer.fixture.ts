// An answer of verify held against its row.
import assert from 'node:assert/strict';
import type { Decision } from '@lumatrace/provenance/decision.ts';
import type { History } from './histories.fixture.ts';

/** Only a row that demands all three of these is authentic. */
export const isAuthentic = ({ c2pa, watermark, tamperClass, findings }: History): boolean =>
  c2pa === 'VALID' &&
  watermark === 'DETECTED' &&
  tamperClass === 'NONE' &&
  findings.includes('org.lumatrace.decision.authentic');

/** The answer, when it is that of the row. @throws AssertionError */
export function assertAnswer(history: History, answer: unknown): Decision {
  const said = answer as Decision;
  const { authentic, c2paStatus, watermarkStatus, tamperClass, findings } = said;
  const codes = findings.map(({ code }) => code);
  const expected = [isAuthentic(history), history.c2pa, history.watermark, history.tamperClass];
  assert.deepEqual([authentic, c2paStatus, watermarkStatus, tamperClass], expected, codes.join());
  for (const code of history.findings) assert.ok(codes.includes(code), `${code} is missing among ${codes.join()}`);
  const against = findings.filter(({ severity }) => severity === 'failure');
  assert.equal(against.length === 0, authentic, codes.join());
  return said;
}
