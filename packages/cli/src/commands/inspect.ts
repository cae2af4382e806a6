// `inspect`: everything that a file's manifest store says, whoever wrote it, and what each statement is worth.
import { readReport } from '@lumatrace/provenance/c2pa/wasm.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import { UsageError, type Command } from '../command.ts';
import { chainLines, credentialLines, findingLines, row } from '../credentials-text.ts';
import { readPicture } from '../picture-file.ts';
import { TRUST_HELP, trustOf } from '../trust.ts';

export const command: Command = {
  summary: 'show the content credentials of a file, of any vendor',
  help: `
Usage: ./lumatrace inspect FILE [--json] [--trust ROOTS.pem]

Reads the C2PA manifest store of a JPEG, PNG or WebP ("-" for standard input) without network and without an account.

${TRUST_HELP}
  --json       status, findings, chains of certificates and the whole manifest store as one JSON object; what was changed is
               shown too: c2paStatus says what it is worth

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
      // what our own reading could not follow is not given to one that guesses; what was changed is shown, and not believed
      const text = seen.credentials === null ? null : await readReport(bytes, format, trust).catch(() => null);
      const manifestStore: unknown = text === null ? null : JSON.parse(text);
      const { status, findings, credentials } = seen;
      process.stdout.write(
        `${JSON.stringify({ file: name, format, width, height, bytes: bytes.length, c2paStatus: status, findings, credentials, manifestStore })}\n`,
      );
    } else {
      const lines = [
        row('file', `${name}: ${format}, ${width} × ${height}, ${bytes.length} bytes`),
        ...credentialLines(seen),
        ...chainLines(seen.credentials),
        ...findingLines(seen.findings),
      ];
      process.stdout.write(`${lines.join('\n')}\n`);
    }
    return isReadable ? 0 : 1;
  },
};
