// `protect`: files and folders through a running installation, several at once, and only those that are not done yet.
import { availableParallelism } from 'node:os';
import { PROFILE_NAMES, PROFILES } from '@lumatrace/provenance/profiles.ts';
import { UsageError, type Command } from '../command.ts';
import { INSTALLATION_HELP, INSTALLATION_OPTIONS, installationOf } from '../installation.ts';
import { plan } from '../protect/plan.ts';
import { Journal } from '../protect/journal.ts';
import { protectAll } from '../protect/run.ts';
import { protectStream } from '../protect/one.ts';

const MAX_JOBS = 16;
/** Option → member of the API's request. */
const GENERATOR = {
  profile: 'profile',
  provider: 'aiProvider',
  system: 'aiSystem',
  'system-version': 'aiSystemVersion',
  created: 'aiCreatedAt',
} as const;

export const command: Command = {
  summary: 'mark and sign pictures: files, folders, or standard input',
  help: `
Usage: ./lumatrace protect FILE|DIR... --out DIR [options]
       ./lumatrace protect - < in.jpg > out.jpg

Protects JPEG, PNG and WebP files through the installation and writes them under --out with the same names; folders keep
their structure. Run again, it does what is missing: a picture that was protected with the same options is not sent again.

  --out          folder for the protected files; made when it is missing
${INSTALLATION_HELP}
  --title        of the pictures, for their credentials
  --author       who made them
  --source-type  IPTC digital source type, such as trainedAlgorithmicMedia for generated pictures
  --profile      disclose generated pictures by a rule: ${PROFILE_NAMES.join(', ')}
  --provider     who offers the system that made them; with --profile
  --system       that system or model; with --profile
  --system-version  its version; with --profile
  --created      when they were made (ISO 8601; now otherwise); with --profile
  --strength     0.5 to 2: how much the watermark may change; 1 is not seen
  --keep-gps     keep the position in EXIF; it is removed otherwise
  --sidecar      also write each manifest store beside its picture, as NAME.c2pa
  --receipt      also write each receipt of the transparency log beside its picture, as NAME.receipt.json (see verify --proof)
  --jobs         pictures at once (1 to ${MAX_JOBS}; default: the number of processors)

Exit codes: 0 all protected, 1 some were not (each is named), 2 wrong use, 3 no installation answers.`,
  options: {
    ...INSTALLATION_OPTIONS,
    out: { type: 'string' },
    title: { type: 'string' },
    author: { type: 'string' },
    'source-type': { type: 'string' },
    ...Object.fromEntries(Object.keys(GENERATOR).map((name) => [name, { type: 'string' } as const])),
    strength: { type: 'string' },
    'keep-gps': { type: 'boolean' },
    sidecar: { type: 'boolean' },
    receipt: { type: 'boolean' },
    jobs: { type: 'string' },
  },
  async run(values, names) {
    if (names.length === 0) throw new UsageError('Expected files, folders, or "-".');
    const jobs = numberOf(values['jobs'], 'jobs', 1, MAX_JOBS) ?? Math.min(MAX_JOBS, availableParallelism());
    const strength = numberOf(values['strength'], 'strength', 0.5, 2);
    const request = {
      ...textOf(values['title'], 'title'),
      ...textOf(values['author'], 'author'),
      ...textOf(values['source-type'], 'digitalSourceType'),
      ...generatorOf(values),
      ...(strength === undefined ? {} : { strength }),
      ...(values['keep-gps'] === true ? { keepGps: true } : {}),
    };
    if (names.includes('-')) {
      if (names.length > 1 || values['out'] !== undefined) throw new UsageError('"-" stands alone, without --out.');
      return protectStream(await installationOf(values), request);
    }
    if (typeof values['out'] !== 'string') throw new UsageError('Expected --out, the folder for the protected files.');
    const tasks = await plan(names, values['out']);
    if (tasks.length === 0) throw new UsageError('There is no JPEG, PNG or WebP file there.');
    const installation = await installationOf(values);
    const journal = await Journal.open(values['out']);
    const beside = { withSidecar: values['sidecar'] === true, withReceipt: values['receipt'] === true };
    return protectAll({ installation, request, tasks, journal, jobs, ...beside });
  },
};

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** What a profile wants to be said; what is missing is told before the first picture is read. */
function generatorOf(values: Values): Record<string, string> {
  const entries = Object.entries(GENERATOR).flatMap(([name, member]) => Object.entries(textOf(values[name], member)));
  const said: Record<string, string> = Object.fromEntries(entries);
  const profile = PROFILE_NAMES.find((name) => name === said['profile']);
  if (said['profile'] !== undefined && profile === undefined)
    throw new UsageError(`Expected --profile as one of ${PROFILE_NAMES.join(', ')}.`);
  if (profile === undefined && entries.length > 0)
    throw new UsageError('Expected --profile beside --provider, --system, --system-version and --created.');
  for (const member of profile === undefined ? [] : PROFILES[profile].requires)
    if (said[member] === undefined) throw new UsageError(`Expected --${optionOf(member)} with --profile ${profile}.`);
  return said;
}

const optionOf = (member: string): string =>
  Object.entries(GENERATOR).find(([, other]) => other === member)?.[0] ?? member;

function numberOf(text: string | boolean | undefined, name: string, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  const isRight = value >= least && value <= most && (name !== 'jobs' || Number.isInteger(value));
  if (!isRight) throw new UsageError(`Expected --${name} from ${least} to ${most}.`);
  return value;
}

const textOf = (text: string | boolean | undefined, member: string): Record<string, string> =>
  typeof text === 'string' ? { [member]: text } : {};
