// `audit verify FILE`: checks an exported audit log offline.
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { ExportRefused, verifyExport } from '../../../server/src/access/audit-export.ts';
import { CannotAnswer, UsageError, type Command } from '../command.ts';

export const command: Command = {
  summary: 'check an exported audit log, offline',
  help: `
Usage: ./lumatrace audit verify FILE [--key PEM] [--checkpoints FILE] [--json]

Reads a file of GET /api/v1/audit/export and says whether the chain in it holds: no line changed, added, removed, moved,
cut off, or taken from another tenant. Needs no server.

  --key PEM           the public key to trust: audit-checkpoints/public-key.pem of the data folder, kept elsewhere.
                      Without it the key in the file is believed, which does not show a file that somebody signed anew
  --checkpoints FILE  checkpoints that were kept elsewhere: a copy of audit-checkpoints/TENANT.checkpoints
  --json              one JSON object on stdout
Exit codes: 0 the chain holds, 1 it does not, 2 wrong use, 3 the file cannot be read.`,
  options: { key: { type: 'string' }, checkpoints: { type: 'string' }, json: { type: 'boolean' } },
  async run(values, positionals) {
    const [verb, file] = positionals;
    if (verb !== 'verify' || file === undefined || positionals.length > 2) {
      throw new UsageError('Expected `audit verify FILE`.');
    }
    const key = await optionalFile(values['key']);
    const kept = await optionalFile(values['checkpoints']);
    const options = {
      ...(key === undefined ? {} : { key }),
      ...(kept === undefined ? {} : { checkpoints: kept.split(/(?<=\n\n\u2014 [^\n]+\n)\n/) }),
    };
    try {
      const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
      const { finding, ...counted } = await verifyExport(lines, options);
      const sentence =
        finding === undefined
          ? `The chain holds: ${counted.lines} lines, ${counted.checkpoints} checkpoints of tenant ${counted.tenantId}.`
          : `The chain does not hold at line ${finding.position} (${finding.fault}): ${finding.because}`;
      say(values['json'] === true, { holds: finding === undefined, ...counted, finding: finding ?? null }, sentence);
      return finding === undefined ? 0 : 1;
    } catch (error) {
      if (!(error instanceof ExportRefused)) throw cannotRead(error, file);
      say(
        values['json'] === true,
        { holds: false, refused: error.message },
        `The file does not hold: ${error.message}`,
      );
      return 1;
    }
  },
};

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
