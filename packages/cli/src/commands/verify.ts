// `verify`: is this file a photo of ours, unchanged? Without an installation only its credentials can be answered for.
import { plain } from '@lumatrace/provenance/c2pa/report.ts';
import { verifyC2pa } from '@lumatrace/provenance/c2pa/verify.ts';
import type { Decision } from '@lumatrace/provenance/decision.ts';
import { CannotAnswer, UsageError, type Command } from '../command.ts';
import { credentialLines, findingLines, row } from '../credentials-text.ts';
import {
  INSTALLATION_HELP,
  INSTALLATION_OPTIONS,
  installationOf,
  post,
  Refused,
  type Installation,
} from '../installation.ts';
import { readPicture, type PictureFile } from '../picture-file.ts';
import { PROOF_HELP, verifyReceipt } from '../receipt.ts';
import { TRUST_HELP, trustOf } from '../trust.ts';

export const command: Command = {
  summary: 'tell whether a file is a protected photo, unchanged',
  help: `
Usage: ./lumatrace verify FILE [--photo ID] [--data .data | --url URL] [--json]
       ./lumatrace verify FILE --offline [--trust ROOTS.pem] [--json]
       ./lumatrace verify FILE --proof RECEIPT.json [--log-key KEY.pem] [--json]

Asks the installation whether FILE ("-" for standard input) is one of its photos as it was protected. Without --photo the
photo is found first: by its credentials, else by its watermark. Offline the credentials alone are checked, without network
and without an account. With --proof a receipt of the transparency log is checked instead, offline too.

  --photo      which photo the file is said to be
${INSTALLATION_HELP}
  --offline    check the credentials only
${TRUST_HELP}
${PROOF_HELP}
  --json       the answer as one JSON object

Exit codes: 0 authentic, 1 not, 2 wrong use, 3 cannot answer: no installation; or offline, where watermark and registration
cannot be asked for, credentials that are valid or that are not there.
With --proof: 0 the log holds an entry about this very file, 1 the receipt does not show it, 3 key or proof is missing.`,
  options: {
    ...INSTALLATION_OPTIONS,
    photo: { type: 'string' },
    offline: { type: 'boolean' },
    trust: { type: 'string' },
    proof: { type: 'string' },
    'log-key': { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(values, [name, ...more]) {
    if (name === undefined || more.length > 0) throw new UsageError('Expected one file.');
    const { proof } = values;
    if (typeof proof === 'string')
      return verifyReceipt(await readPicture(name), proof, values['log-key'], values['json'] === true);
    if (values['log-key'] !== undefined) throw new UsageError('Expected --proof beside --log-key.');
    if (values['offline'] === true) return offline(await readPicture(name), values['trust'], values['json'] === true);
    const installation = await installationOf(values);
    const picture = await readPicture(name);
    const asked = typeof values['photo'] === 'string' ? values['photo'] : await photoOf(installation, picture);
    if (asked === null) return nobodys(name, values['json'] === true);
    const verdict = await ask(installation, picture, asked);
    if (values['json'] === true) process.stdout.write(`${JSON.stringify({ ...verdict, photoId: asked })}\n`);
    else process.stdout.write(`${linesOf(verdict, asked).join('\n')}\n`);
    return verdict.authentic ? 0 : 1;
  },
};

async function offline(
  { name, bytes, header }: PictureFile,
  trustFile: string | boolean | undefined,
  asJson: boolean,
): Promise<number> {
  const seen = await verifyC2pa({ bytes, format: header.format, trust: await trustOf(trustFile) });
  const { status, findings } = seen;
  const rest = 'Watermark and registration were not looked at: that takes the installation.';
  if (asJson)
    process.stdout.write(`${JSON.stringify({ file: name, c2paStatus: status, authentic: null, findings })}\n`);
  else process.stdout.write(`${[...credentialLines(seen), ...findingLines(findings), rest].join('\n')}\n`);
  // without credentials nothing speaks against it: it may carry the watermark
  return status === 'VALID' || status === 'MISSING' ? 3 : 1;
}

/** What the credentials say, whether or not they are to be trusted: the verification judges. Else the watermark. */
async function photoOf(installation: Installation, picture: PictureFile): Promise<string | null> {
  const { manifest } = await verifyC2pa({
    bytes: picture.bytes,
    format: picture.header.format,
    trust: { anchorsPem: '' },
  });
  const said = manifest?.photoId ?? null;
  if (said !== null && (await isOurs(installation, said))) return said;
  const response = await post(installation, '/api/v1/photos/identify', () => formOf(picture));
  const { matches } = (await response.json()) as { matches: { photoId: string; kind: string }[] };
  return matches.find(({ kind }) => kind === 'watermark')?.photoId ?? null;
}

async function isOurs({ url, apiKey }: Installation, photoId: string): Promise<boolean> {
  const response = await fetch(`${url}/api/v1/photos/${encodeURIComponent(photoId)}`, {
    headers: { authorization: `Bearer ${apiKey}` },
  }).catch((cause: unknown) => {
    throw new CannotAnswer(`${url} does not answer.`, { cause });
  });
  await response.body?.cancel();
  return response.ok;
}

function nobodys(name: string, asJson: boolean): number {
  const message = 'Not authentic: neither credentials nor watermark lead to a photo of this installation.';
  process.stdout.write(
    asJson ? `${JSON.stringify({ file: name, authentic: false, photoId: null, message })}\n` : `${message}\n`,
  );
  return 1;
}

type Verdict = Decision & { tenantId: string };

async function ask(installation: Installation, picture: PictureFile, photoId: string): Promise<Verdict> {
  const form = (): FormData => {
    const parts = formOf(picture);
    parts.set('photoId', photoId);
    return parts;
  };
  try {
    return (await (await post(installation, '/api/v1/photos/verify', form)).json()) as Verdict;
  } catch (error) {
    if (error instanceof Refused) throw new CannotAnswer(error.message, { cause: error });
    throw error;
  }
}

function formOf({ bytes }: PictureFile): FormData {
  const form = new FormData();
  form.set('image', new Blob([bytes]), 'image');
  return form;
}

function linesOf(verdict: Verdict, photoId: string): string[] {
  const { message, c2paStatus, watermarkStatus, confidenceScore, tamperClass, changedRegions, findings } = verdict;
  return [
    plain(message),
    row('photo', photoId),
    row('credentials', c2paStatus),
    row('watermark', `${watermarkStatus}, score ${confidenceScore.toFixed(1)}`),
    row('change', tamperClass ?? 'nothing to compare with'),
    ...(changedRegions ?? []).map(({ x, y, width, height }) =>
      row('changed part', `${width} × ${height} from (${x}, ${y})`),
    ),
    ...findingLines(findings.filter(({ severity, subject }) => severity === 'failure' && subject !== 'decision')),
  ];
}
