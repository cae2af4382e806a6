// `inspect`: everything that a file's manifest store says, whoever wrote it, and what each statement is worth.
import { readReport } from '@lumatrace/provenance/c2pa/wasm.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import { UsageError, type Command } from '../command.ts';
import { credentialLines, findingLines, row } from '../credentials-text.ts';
import { readPicture } from '../picture-file.ts';
import { TRUST_HELP, trustOf } from '../trust.ts';

export const command: Command = {
  summary: 'show the content credentials of a file, of any vendor',
  help: `
Usage: ./lumatrace inspect FILE [--json] [--trust ROOTS.pem]

Reads the C2PA manifest store of a JPEG, PNG or WebP ("-" for standard input) without network and without an account.

${TRUST_HELP}
  --json       status, findings and the whole manifest store as one JSON object

Exit codes: 0 there is a manifest store that can be read, 1 there is none or it is damaged, 2 wrong use, 3 the file
cannot be read.`,
  options: { json: { type: 'boolean' }, trust: { type: 'string' } },
  async run(values, [name, ...more]) {
    if (name === undefined || more.length > 0) throw new UsageError('Expected one file.');
    const [{ bytes, header }, trust] = [await readPicture(name), await trustOf(values['trust'])];
    const { format, width, height } = header;
    const seen = await verifyC2pa({ bytes, format, trust });
    const isReadable = seen.status === 'VALID' || seen.status === 'INVALID';
    if (values['json'] === true) {
      // what our own reading could not follow is not given to one that guesses
      const text = isReadable ? await readReport(bytes, format, trust) : null;
      const manifestStore: unknown = text === null ? null : JSON.parse(text);
      const { status, findings } = seen;
      process.stdout.write(
        `${JSON.stringify({ file: name, format, width, height, bytes: bytes.length, c2paStatus: status, findings, manifestStore })}\n`,
      );
    } else {
      const lines = [
        row('file', `${name}: ${format}, ${width} × ${height}, ${bytes.length} bytes`),
        ...credentialLines(seen),
        ...findingLines(seen.findings),
      ];
      process.stdout.write(`${lines.join('\n')}\n`);
    }
    return isReadable ? 0 : 1;
  },
};
