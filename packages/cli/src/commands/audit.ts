// `audit verify FILE` checks an exported audit log, `audit verify-line FILE` the proof of one line; both offline.
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { splitNotes } from '../../../server/src/access/audit-checkpoint.ts';
import { ExportRefused, verifyExport, type ExportVerdict } from '../../../server/src/access/audit-export.ts';
import { verifyLine } from '../../../server/src/access/audit-proof.ts';
import { CannotAnswer, UsageError, type Command } from '../command.ts';

export const command: Command = {
  summary: 'check an exported audit log, offline',
  help: `
Usage: ./lumatrace audit verify FILE [--key PEM] [--checkpoints FILE] [--json]
       ./lumatrace audit verify-line FILE [--key PEM] [--json]

Reads a file of GET /api/v1/audit/export and says whether the chain in it holds: no line changed, added, removed, moved,
cut off, or taken from another tenant. Needs no server.
verify-line reads a proof of GET /api/v1/audit/lines/POSITION/proof and says whether that one line is in the log.

  --key PEM           the public key to trust: audit-checkpoints/public-key.pem of the data folder, kept elsewhere.
                      Without it the key in the file is believed, which does not show a file that somebody signed anew
  --checkpoints FILE  checkpoints that were kept elsewhere: a copy of audit-checkpoints/TENANT.checkpoints
  --json              one JSON object on stdout
Exit codes: 0 the chain holds, 1 it does not, 2 wrong use, 3 the file cannot be read.`,
  options: { key: { type: 'string' }, checkpoints: { type: 'string' }, json: { type: 'boolean' } },
  async run(values, positionals) {
    const [verb = '', file] = positionals;
    const check = CHECKS.get(verb);
    if (check === undefined || file === undefined || positionals.length > 2) {
      throw new UsageError('Expected `audit verify FILE` or `audit verify-line FILE`.');
    }
    const key = await optionalFile(values['key']);
    const kept = await optionalFile(values['checkpoints']);
    const asJson = values['json'] === true;
    try {
      const { facts, sentence, holds } = await check(file, {
        ...(key === undefined ? {} : { key }),
        ...(kept === undefined ? {} : { checkpoints: splitNotes(kept) }),
      });
      say(asJson, { holds, ...facts }, sentence);
      return holds ? 0 : 1;
    } catch (error) {
      if (!(error instanceof ExportRefused)) throw cannotRead(error, file);
      say(asJson, { holds: false, refused: error.message }, `The file does not hold: ${error.message}`);
      return 1;
    }
  },
};

interface Trusted {
  key?: string;
  checkpoints?: readonly string[];
}

interface Answer {
  facts: object;
  sentence: string;
  holds: boolean;
}

const CHECKS: ReadonlyMap<string, (file: string, trusted: Trusted) => Promise<Answer>> = new Map([
  ['verify', checkExport],
  ['verify-line', checkLine],
]);

async function checkExport(file: string, trusted: Trusted): Promise<Answer> {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  const { finding, ...counted }: ExportVerdict = await verifyExport(lines, trusted);
  const sentence =
    finding === undefined
      ? `The chain holds: ${counted.lines} lines, ${counted.checkpoints} checkpoints of tenant ${counted.tenantId}.`
      : `The chain does not hold at line ${finding.position} (${finding.fault}): ${finding.because}`;
  return { facts: { ...counted, finding: finding ?? null }, sentence, holds: finding === undefined };
}

const MAX_PROOF_BYTES = 1_048_576;

async function checkLine(file: string, { key }: Trusted): Promise<Answer> {
  const text = await readFile(file, 'utf8');
  if (text.length > MAX_PROOF_BYTES) throw new ExportRefused('Expected a proof of one line, which is shorter.');
  const { because, ...facts } = verifyLine(text, key === undefined ? {} : { key });
  const sentence =
    because === undefined
      ? `Line ${facts.position} is one of the ${facts.size} that a checkpoint of tenant ${facts.tenantId} counts.`
      : `Line ${facts.position} is not proven: ${because}`;
  return { facts: { ...facts, because: because ?? null }, sentence, holds: because === undefined };
}

function say(asJson: boolean, facts: object, sentence: string): void {
  process.stdout.write(asJson ? `${JSON.stringify(facts)}\n` : `${sentence}\n`);
}

async function optionalFile(path: unknown): Promise<string | undefined> {
  if (typeof path !== 'string') return undefined;
  return readFile(path, 'utf8').catch((error: unknown) => Promise.reject(cannotRead(error, path)));
}

function cannotRead(error: unknown, file: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error : new CannotAnswer(`${file} cannot be read: ${code}.`);
}
