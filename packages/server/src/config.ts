// What an operator may set: one table of environment variables, one of flags. Help texts and the guide are made from them.
// `node packages/server/src/config.ts --write` refreshes docs/guides/configuration.md; a test says when that was forgotten.
import { readFile, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** One environment variable as the table declares it. `read` throws a Fault for a text that may not stand there. */
interface Declared<Value> {
  name: string;
  /** What may stand there, for people. */
  kind: string;
  description: string;
  /** Never printed. */
  secret?: boolean;
  read(text: string): Value;
}

interface Variable<Value> extends Omit<Declared<unknown>, 'read'> {
  /** As it would be written; absent when unset means "none". */
  default?: string;
  /** The value of a text; of none, the default's. */
  value(text: string | undefined): Value;
}

/** "Expected … but received …": collected, so that an operator sees every fault at once. */
class Fault extends Error {}

function optional<Value>({ read, ...declared }: Declared<Value>): Variable<Value | undefined> {
  return { ...declared, value: (text) => (text === undefined ? undefined : read(text)) };
}

function withDefault<Value>(byDefault: string, { read, ...declared }: Declared<Value>): Variable<Value> {
  return { ...declared, default: byDefault, value: (text) => read(text ?? byDefault) };
}

const asText = (text: string): string => text;
const asList = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function asInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new Fault(`Expected a whole number from ${min} to ${max} but received "${text}"`);
  };
}

function asChoice<Choice extends string>(...choices: readonly Choice[]): (text: string) => Choice {
  return (text) => {
    const choice = choices.find((one) => one === text);
    if (choice !== undefined) return choice;
    throw new Fault(`Expected ${choices.join(', ')} but received "${text}"`);
  };
}

function asUrl(...protocols: readonly string[]): (text: string) => string {
  return (text) => {
    const protocol = URL.canParse(text) ? new URL(text).protocol.slice(0, -1) : '';
    if (protocols.includes(protocol)) return text;
    // the text itself may hold a password
    throw new Fault(`Expected a URL that begins with ${protocols.map((one) => `${one}://`).join(' or ')}`);
  };
}

function asTimestampAuthority(text: string): string {
  return text === 'own' || text === 'off' ? text : asUrl('https', 'http')(text);
}

function asHostsWithPort(text: string): string[] {
  const wrong = asList(text).find((item) => !/^(\[[0-9A-Fa-f:]+\]|[^\s:/@]+):\d{1,5}$/.test(item));
  if (wrong === undefined) return asList(text);
  throw new Fault(`Expected host:port,host:port but received "${wrong}"`);
}

function asBlocks(text: string): string[] {
  const wrong = asList(text).find((item) => {
    const [address = '', bits, ...more] = item.split('/');
    const most = isIP(address) === 4 ? 32 : 128;
    const isBlock = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
    return isIP(address) === 0 || !isBlock || more.length > 0;
  });
  if (wrong === undefined) return asList(text);
  throw new Fault(`Expected addresses or blocks such as 10.0.0.0/8 but received "${wrong}"`);
}

const asPort = asInteger(0, 65_535);
const MOST = 1_000_000_000;

/** Every environment variable that the server reads, in the order of the guide. */
const VARIABLES = {
  databaseUrl: optional({
    name: 'DATABASE_URL',
    kind: 'postgresql://…',
    description:
      'PostgreSQL 15 or newer to use instead of the embedded one. Its user owns the database and is a member of `lumatrace_app`.',
    secret: true,
    read: asUrl('postgresql', 'postgres'),
  }),
  databaseDirectUrl: optional({
    name: 'DATABASE_DIRECT_URL',
    kind: 'postgresql://…',
    description:
      'The same database past a pooler in transaction mode (PgBouncer): migrations, jobs and notifications need a session.',
    secret: true,
    read: asUrl('postgresql', 'postgres'),
  }),
  databaseConnections: withDefault('10', {
    name: 'LUMATRACE_DATABASE_CONNECTIONS',
    kind: 'number',
    description: 'Most connections that requests hold at once; jobs and migrations hold up to four more.',
    read: asInteger(2, 200),
  }),
  host: optional({
    name: 'LUMATRACE_HOST',
    kind: 'address',
    description: 'Address to listen on, as `--host`. Unset: 127.0.0.1, and ::1 where the machine has IPv6.',
    read: asText,
  }),
  port: withDefault('3000', {
    name: 'LUMATRACE_PORT',
    kind: 'port',
    description: 'Port of the dashboard and the API, as `--port`.',
    read: asPort,
  }),
  otlpPort: withDefault('4318', {
    name: 'LUMATRACE_OTLP_PORT',
    kind: 'port',
    description: 'Port of OTLP over HTTP, as `--otlp-port`.',
    read: asPort,
  }),
  grpcPort: withDefault('4317', {
    name: 'LUMATRACE_GRPC_PORT',
    kind: 'port',
    description: 'Port of OTLP over gRPC, as `--grpc-port`.',
    read: asPort,
  }),
  dataDir: withDefault('.data', {
    name: 'LUMATRACE_DATA',
    kind: 'folder',
    description:
      'Folder of everything that is kept, as `--data`. The default lies beside the launcher, whatever the working folder.',
    read: asText,
  }),
  kekFile: optional({
    name: 'LUMATRACE_KEK_FILE',
    kind: 'file',
    description:
      'The key that encrypts all other keys: 64 hexadecimal digits, or what a transit engine made of them. Unset: `kek` in the data folder, made once.',
    read: asText,
  }),
  kek: withDefault('file', {
    name: 'LUMATRACE_KEK',
    kind: 'file or transit',
    description:
      'How that key lies in its file: as it is, or sealed by the transit engine of OpenBao or Vault that is named below. `keys rotate kek` moves it (guide: keys).',
    read: asChoice('file', 'transit'),
  }),
  kekTransitUrl: optional({
    name: 'LUMATRACE_KEK_TRANSIT_URL',
    kind: 'http(s)://…',
    description:
      'The transit engine with its mount, such as `https://bao.example:8200/v1/transit`. A private address must stand in `LUMATRACE_EGRESS_ALLOW`.',
    read: asUrl('https', 'http'),
  }),
  kekTransitKey: optional({
    name: 'LUMATRACE_KEK_TRANSIT_KEY',
    kind: 'name',
    description: 'Name of its key (type aes256-gcm96).',
    read: asText,
  }),
  kekTransitTokenFile: optional({
    name: 'LUMATRACE_KEK_TRANSIT_TOKEN_FILE',
    kind: 'file',
    description: 'Holds the token for it, readable by its owner alone; read at every request.',
    read: asText,
  }),
  publicUrl: optional({
    name: 'LUMATRACE_PUBLIC_URL',
    kind: 'http(s)://…',
    description: 'Address that people use when it is not localhost, for instance behind a proxy that speaks TLS.',
    read: asUrl('https', 'http'),
  }),
  tls: withDefault('off', {
    name: 'LUMATRACE_TLS',
    kind: 'off, generated or files',
    description:
      'TLS 1.3 on all ports: none, a certificate of our own making (`tls/ca.pem` in the data folder is what clients trust), or yours. See docs/guides/hardening.md.',
    read: asChoice('off', 'generated', 'files'),
  }),
  tlsCertFile: optional({
    name: 'LUMATRACE_TLS_CERT_FILE',
    kind: 'file',
    description: 'PEM of the certificate and its chain, for LUMATRACE_TLS=files; read again when it changes.',
    read: asText,
  }),
  tlsKeyFile: optional({
    name: 'LUMATRACE_TLS_KEY_FILE',
    kind: 'file',
    description: 'PEM of its private key.',
    read: asText,
  }),
  trustedProxies: withDefault('', {
    name: 'LUMATRACE_TRUSTED_PROXIES',
    kind: 'address or block, …',
    description: 'Proxies whose `X-Forwarded-For` is believed.',
    read: asBlocks,
  }),
  logLevel: withDefault('warn', {
    name: 'LUMATRACE_LOG_LEVEL',
    kind: 'level',
    description: 'trace, debug, info, warn, error, fatal or silent. One JSON object a line on standard error.',
    read: asChoice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  }),
  retentionDays: withDefault('7', {
    name: 'LUMATRACE_RETENTION_DAYS',
    kind: 'days',
    description: 'Days that telemetry of a new tenant is kept: 1, 7, 30, 90 or 365.',
    read: (text) => Number(asChoice('1', '7', '30', '90', '365')(text)),
  }),
  tracesPerDay: withDefault('50000', {
    name: 'LUMATRACE_TRACES_PER_DAY',
    kind: 'number',
    description: 'New traces that a tenant may send a day (UTC), unless the tenant has a limit of its own.',
    read: asInteger(0, MOST),
  }),
  logRecordsPerDay: withDefault('1000000', {
    name: 'LUMATRACE_LOG_RECORDS_PER_DAY',
    kind: 'number',
    description: 'Log records and scores that a tenant may send a day (UTC).',
    read: asInteger(0, MOST),
  }),
  metricPointsPerDay: withDefault('1000000', {
    name: 'LUMATRACE_METRIC_POINTS_PER_DAY',
    kind: 'number',
    description: 'Data points of GenAI metrics that a tenant may send a day (UTC).',
    read: asInteger(0, MOST),
  }),
  requestsPerHour: withDefault('5000', {
    name: 'LUMATRACE_REQUESTS_PER_HOUR',
    kind: 'number',
    description: 'Requests that a tenant may send to `/api/v1` an hour, unless the tenant has a limit of its own.',
    read: asInteger(1, MOST),
  }),
  metricsToken: optional({
    name: 'LUMATRACE_METRICS_TOKEN',
    kind: 'text',
    description: 'Bearer token for `/metrics`; without it only this machine may read them.',
    secret: true,
    read: asText,
  }),
  priceTable: optional({
    name: 'LUMATRACE_PRICE_TABLE',
    kind: 'file or https://…',
    description:
      'Price table for every tenant in place of the bundled one, read at the start: data.json of pydantic/genai-prices or a table in our shape. Checked whole; one that is wrong changes nothing. See docs/guides/prices.md.',
    read: asText,
  }),
  priceTableSha256: optional({
    name: 'LUMATRACE_PRICE_TABLE_SHA256',
    kind: 'hex',
    description: 'SHA-256 of that table; required for an address. Another file is refused.',
    read: asText,
  }),
  organization: withDefault('LumaTrace', {
    name: 'LUMATRACE_ORGANIZATION',
    kind: 'name',
    description: 'Name in the certificates that sign photographs; read when they are made.',
    read: asText,
  }),
  c2paAlg: withDefault('es256', {
    name: 'LUMATRACE_C2PA_ALG',
    kind: 'es256 or ps256',
    description:
      'How photographs are signed: ECDSA on P-256, or RSA-PSS with 3072 bits. A certificate for the other one is replaced at the next start; old pictures stay valid. See docs/guides/certificates.md.',
    read: asChoice('es256', 'ps256'),
  }),
  c2paChainFile: optional({
    name: 'LUMATRACE_C2PA_CHAIN_FILE',
    kind: 'file',
    description:
      'Your own certificate for signing photographs: PEM, leaf first, its root last (or in the trust anchors). Needs the key file or the transit settings; read again when it changes. See docs/guides/certificates.md.',
    read: asText,
  }),
  c2paKeyFile: optional({
    name: 'LUMATRACE_C2PA_KEY_FILE',
    kind: 'file',
    description: 'The private key of that certificate: PEM without a passphrase, mode 0400.',
    read: asText,
  }),
  c2paTransitUrl: optional({
    name: 'LUMATRACE_C2PA_TRANSIT_URL',
    kind: 'http(s)://…',
    description:
      'Instead of the key file: the transit engine of OpenBao or Vault that holds the key, with its mount, such as `https://bao.example:8200/v1/transit`. A private address must stand in `LUMATRACE_EGRESS_ALLOW`.',
    read: asUrl('https', 'http'),
  }),
  c2paTransitKey: optional({
    name: 'LUMATRACE_C2PA_TRANSIT_KEY',
    kind: 'name',
    description: 'Name of the key in the transit engine.',
    read: asText,
  }),
  c2paTransitTokenFile: optional({
    name: 'LUMATRACE_C2PA_TRANSIT_TOKEN_FILE',
    kind: 'file',
    description: 'Holds the token for the transit engine, readable by its owner alone; read at every request.',
    read: asText,
  }),
  trustAnchorsFile: optional({
    name: 'LUMATRACE_TRUST_ANCHORS_FILE',
    kind: 'file',
    description:
      'PEM of roots that are believed about signers besides our own, such as the C2PA trust list; read again when it changes.',
    read: asText,
  }),
  softBindingAlg: withDefault('org.lumatrace.watermark.1', {
    name: 'LUMATRACE_SOFT_BINDING_ALG',
    kind: 'name',
    description:
      'Name of the watermark in C2PA soft bindings: a reverse domain name of yours. Validators may one day refuse names that are not on the public list.',
    read: asText,
  }),
  tsa: withDefault('own', {
    name: 'LUMATRACE_TSA',
    kind: 'own, off or URL',
    description:
      'Who stamps signatures with the time (RFC 3161), so that they outlive their certificate: an authority of our own under the root of the installation, nobody, or the one at this address. When it does not answer, nothing is signed.',
    read: asTimestampAuthority,
  }),
  tsaAnchorsFile: optional({
    name: 'LUMATRACE_TSA_ANCHORS_FILE',
    kind: 'file',
    description: 'PEM of the root certificates of time-stamping authorities that are believed besides our own.',
    read: asText,
  }),
  auditCopyFolder: optional({
    name: 'LUMATRACE_AUDIT_COPY_FOLDER',
    kind: 'folder',
    description:
      'Where checkpoints of the audit log are kept besides the data folder: another volume or a share. See docs/guides/audit.md.',
    read: asText,
  }),
  auditCopyUrl: optional({
    name: 'LUMATRACE_AUDIT_COPY_URL',
    kind: 'http(s)://…',
    description:
      'A webhook that gets each new checkpoint of the audit log, signed as Standard Webhooks. Needs `LUMATRACE_WEBHOOK_SECRET_FILE`.',
    // its path often is the password
    secret: true,
    read: asUrl('https', 'http'),
  }),
  alertUrl: optional({
    name: 'LUMATRACE_ALERT_URL',
    kind: 'http(s)://…',
    description:
      'A webhook that is told every security alert, signed as Standard Webhooks. Needs `LUMATRACE_WEBHOOK_SECRET_FILE`.',
    // its path often is the password
    secret: true,
    read: asUrl('https', 'http'),
  }),
  webhookSecretFile: optional({
    name: 'LUMATRACE_WEBHOOK_SECRET_FILE',
    kind: 'file',
    description: 'The secret that these webhooks are signed with: `whsec_` and the base64 of 24 to 64 random bytes.',
    read: asText,
  }),
  egressAllow: withDefault('', {
    name: 'LUMATRACE_EGRESS_ALLOW',
    kind: 'host:port, …',
    description: 'Private and loopback addresses that outgoing requests may reach.',
    read: asHostsWithPort,
  }),
  oidcAllow: withDefault('', {
    name: 'LUMATRACE_OIDC_ALLOW',
    kind: 'host:port, …',
    description:
      'Private, loopback and plain-HTTP addresses of identity providers. Tenants name their providers themselves, so what `LUMATRACE_EGRESS_ALLOW` opens for the installation is not open to them.',
    read: asHostsWithPort,
  }),
  profile: withDefault('standard', {
    name: 'LUMATRACE_PROFILE',
    kind: 'standard or production',
    description:
      'production refuses to start while a check of `doctor` fails, and says how to mend each. See docs/guides/hardening.md.',
    read: asChoice('standard', 'production'),
  }),
  securityContact: optional({
    name: 'LUMATRACE_SECURITY_CONTACT',
    kind: 'URL or e-mail',
    description: 'Contact in `security.txt`; without it that file is 404.',
    read: asText,
  }),
};

type Table = typeof VARIABLES;
/** What a program works with: one field per variable, undefined only where the table has no default. */
export type Config = { [Key in keyof Table]: ReturnType<Table[Key]['value']> };

/** Thrown for wrong use; printed as it is, exit code 2. */
export class UsageError extends Error {}

/** Reads the environment. @throws UsageError that names every fault, never a secret value. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  const read = ([key, variable]: [string, Variable<unknown>]): [string, unknown] => {
    const text = environment[variable.name]?.trim();
    try {
      return [key, variable.value(text === '' ? undefined : text)];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      faults.push(`${variable.name}: ${error.message}`);
      return [key, undefined];
    }
  };
  const config = Object.fromEntries(Object.entries<Variable<unknown>>(VARIABLES).map(read));
  if (faults.length > 0) throw new UsageError(faults.join('\n'));
  return config as Config;
}

/** Variables that look like ours and are not: mistyped names that would else be silently without effect. */
export function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(Object.values<Variable<unknown>>(VARIABLES).map(({ name }) => name));
  return Object.keys(environment).filter((name) => name.startsWith('LUMATRACE_') && !known.has(name));
}

/** name → value as it would be printed by `doctor`; secrets are only said to be set. */
export function shownConfig(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const shown = Object.values<Variable<unknown>>(VARIABLES).map(({ name, secret, default: byDefault = '' }) => {
    const text = environment[name]?.trim() ?? '';
    if (text === '') return [name, byDefault] as const;
    return [name, secret === true ? '(set)' : text] as const;
  });
  return Object.fromEntries(shown);
}

interface Flag {
  name: string;
  /** Absent for a switch. */
  takes?: string;
  /** The variable that the flag overrides. */
  overrides?: keyof Config;
  description: string;
}

interface CommandLine {
  summary: string;
  usage: string;
  /** Names of what stands without a flag, each needed. */
  words: readonly string[];
  /** How many more may follow them. */
  optionalWords?: number;
  flags: readonly Flag[];
  more: string;
}

const DATA: Flag = {
  name: 'data',
  takes: 'FOLDER',
  overrides: 'dataDir',
  description: 'folder of everything that is kept (default: .data beside the launcher)',
};

/** The commands of this program. */
const COMMANDS = {
  up: {
    summary: 'Starts everything and serves until it is stopped.',
    usage: 'up [--host ADDRESS] [--port 3000] [--otlp-port 4318] [--grpc-port 4317] [--data FOLDER] [--demo]',
    words: [],
    flags: [
      {
        name: 'host',
        takes: 'ADDRESS',
        overrides: 'host',
        description: 'address to listen on (default: loopback only)',
      },
      { name: 'port', takes: 'PORT', overrides: 'port', description: 'dashboard and API (default: 3000)' },
      { name: 'otlp-port', takes: 'PORT', overrides: 'otlpPort', description: 'OTLP over HTTP (default: 4318)' },
      { name: 'grpc-port', takes: 'PORT', overrides: 'grpcPort', description: 'OTLP over gRPC (default: 4317)' },
      DATA,
      { name: 'demo', description: 'also send realistic traffic and images through the public API' },
    ],
    more: `Uses DATABASE_URL when that is set, else an embedded PostgreSQL under the data folder.
The first start writes FOLDER/first-run.json with the first login and an API key.
Ctrl-C stops it in order; a second Ctrl-C at once. Exit codes: 0 stopped, 1 could not start or go on, 2 wrong use.`,
  },
  backup: {
    summary: 'Writes one consistent, compressed, encrypted file of all data; works while LumaTrace runs.',
    usage: 'backup FILE [--data FOLDER] [--kek FILE]',
    words: ['FILE'],
    flags: [
      DATA,
      { name: 'kek', takes: 'FILE', overrides: 'kekFile', description: 'the key, when it is not FOLDER/kek' },
    ],
    more: `The file is encrypted under the key in FOLDER/kek, and that key is not in it: keep a copy of the key elsewhere.
"-" writes to standard output. Exit codes: 0 written, 1 not, 2 wrong use.`,
  },
  doctor: {
    summary: 'Checks whether this installation is safe, and says how to mend what is not; works while LumaTrace runs.',
    usage: 'doctor [--json] [--host ADDRESS] [--data FOLDER] [--kek FILE]',
    words: [],
    flags: [
      { name: 'json', description: 'for machines: findings and settings, secrets only said to be set' },
      { name: 'host', takes: 'ADDRESS', overrides: 'host', description: 'as given to up' },
      DATA,
      { name: 'kek', takes: 'FILE', overrides: 'kekFile', description: 'the key, when it is not FOLDER/kek' },
    ],
    more: `Every check is ok, warning, failed or unknown (it could not be looked at). With LUMATRACE_PROFILE=production, "up"
refuses to start while one fails. Exit codes: 0 none failed, 1 one failed, 2 wrong use.`,
  },
  restore: {
    summary: 'Reads a backup into an empty data folder, or an empty database named by DATABASE_URL.',
    usage: 'restore FILE [--data FOLDER] [--kek FILE]',
    words: ['FILE'],
    flags: [DATA, { name: 'kek', takes: 'FILE', description: 'copy of the key, put into FOLDER' }],
    more: `Needs the key that the backup was made under: FOLDER/kek, or --kek FILE, which then becomes FOLDER/kek.
"-" reads standard input. A backup that was cut short or edited is refused and leaves nothing. Exit codes: 0 restored, 1 not, 2 wrong use.`,
  },
  prices: {
    summary: 'Puts another price table in use for every tenant; works while LumaTrace runs.',
    usage: 'prices SOURCE [--sha256 HEX] [--data FOLDER]',
    words: ['SOURCE'],
    flags: [
      {
        name: 'sha256',
        takes: 'HEX',
        overrides: 'priceTableSha256',
        description: 'SHA-256 of the table; required for an address',
      },
      DATA,
    ],
    more: `SOURCE is a file or an https address: data.json of pydantic/genai-prices, LiteLLM's model prices, or a table in our
shape. It is checked whole before it is used; one that is wrong is refused and the one before stays. Spans that arrive
from then on are priced by it within seconds. Exit codes: 0 in use, 1 refused, 2 wrong use.`,
  },
  keys: {
    summary: 'Lists keys, makes a new version of one, or revokes a certificate; works while LumaTrace runs.',
    usage: 'keys list|rotate KIND|revoke KID [--at TIME] [--reason TEXT] [--data FOLDER] [--kek FILE]',
    words: ['ACTION'],
    optionalWords: 1,
    flags: [
      { name: 'at', takes: 'TIME', description: 'from when on a certificate is revoked (ISO 8601; default: now)' },
      { name: 'reason', takes: 'TEXT', description: 'why, for the audit log' },
      DATA,
      { name: 'kek', takes: 'FILE', overrides: 'kekFile', description: 'the key, when it is not FOLDER/kek' },
    ],
    more: `"list" names every version with its age, never a key. "rotate KIND" makes a new version of one:
"kek", the key above all keys: every other key is wrapped again, in seconds, and what lies at FOLDER/kek is another key
afterwards; the one before lies beside it as kek.vN, and backups made until then open with that alone;
"people", which seals addresses and names; "token", which signs tokens: published now, in use a day later;
"watermark-sync" (also without KIND), which places the watermark's lines: pictures are marked with it after a minute, when
every process reads it; the last three versions are searched for;
"tenant-data", the data keys of all tenants (docs/guides/tenant-keys.md). A tenant's own watermark key is rotated by
POST /api/v1/photos/watermark-keys.
"revoke KID" takes back a certificate that signs photographs: pictures it signed after TIME, or without a trusted time
stamp from before, are not valid any more; a new certificate signs the next picture.
Exit codes: 0 done, 1 not, 2 wrong use.`,
  },
  tenants: {
    summary:
      'Lists tenants, erases one for ever, or shows and checks the certificate of that; works while LumaTrace runs.',
    usage: 'tenants list|erase ID|certificate ID|verify FILE [--name NAME] [--key PEM] [--data FOLDER] [--kek FILE]',
    words: ['ACTION'],
    optionalWords: 1,
    flags: [
      { name: 'name', takes: 'NAME', description: 'of the tenant, to confirm that it is to be erased' },
      { name: 'key', takes: 'PEM', description: 'for verify (default: FOLDER/audit-checkpoints/public-key.pem)' },
      DATA,
      { name: 'kek', takes: 'FILE', overrides: 'kekFile', description: 'the key, when it is not FOLDER/kek' },
    ],
    more: `"erase ID --name NAME" destroys every key of the tenant at once: nothing of it opens any more, wherever a copy lies that
was not made with its keys. Its rows follow; then "certificate ID" prints what was done, signed. There is no way back.
Backups from before hold the keys: docs/guides/tenant-keys.md says what to do with them.
"verify FILE" checks such a certificate; it needs the public key and nothing else.
Exit codes: 0 done or holds, 1 not, 2 wrong use.`,
  },
} as const satisfies Record<string, CommandLine>;

export type CommandName = keyof typeof COMMANDS;

export interface Invocation {
  command: CommandName;
  config: Config;
  words: readonly string[];
  demo: boolean;
  /** A copy of the key for `restore`. */
  givenKek?: string;
  /** Of `doctor`: answer for a machine. */
  json?: true;
  /** Of `keys revoke`, as written. */
  at?: string;
  reason?: string;
  /** Of `tenants`. */
  name?: string;
  key?: string;
  /** Set when help was asked for: print it and do nothing else. */
  help?: string;
}

/** Folder of the launcher: where relative defaults lie. */
const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));

/** Flags win over the environment, the environment over the defaults. @throws UsageError */
export function readInvocation(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Invocation {
  const [command, ...rest] = args;
  if (command === undefined || !Object.hasOwn(COMMANDS, command)) {
    throw new UsageError(`Expected ${Object.keys(COMMANDS).join(', ')} but received "${command ?? ''}"`);
  }
  const name = command as CommandName;
  const line: CommandLine = COMMANDS[name];
  const { values, words } = parsed(line, rest);
  if (values['help'] === true) {
    const config = readConfig({});
    return { command: name, config, words, demo: false, help: helpText(name) };
  }
  const most = line.words.length + (line.optionalWords ?? 0);
  if (words.length < line.words.length || words.length > most) throw new UsageError(`Usage: ./lumatrace ${line.usage}`);
  const overridden = Object.fromEntries(
    line.flags.flatMap(({ name: flag, overrides }) => {
      const text = values[flag];
      return overrides === undefined || typeof text !== 'string' ? [] : [[VARIABLES[overrides].name, text]];
    }),
  );
  const config = readConfig({ ...environment, ...overridden });
  const isDefault = (overridden[VARIABLES.dataDir.name] ?? environment[VARIABLES.dataDir.name] ?? '').trim() === '';
  config.dataDir = resolve(isDefault ? PROJECT : '.', config.dataDir);
  const givenKek = name === 'restore' ? values['kek'] : undefined;
  return {
    command: name,
    config,
    words,
    demo: values['demo'] === true,
    ...(typeof givenKek === 'string' && { givenKek }),
    ...(values['json'] === true && { json: true as const }),
    ...(typeof values['at'] === 'string' && { at: values['at'] }),
    ...(typeof values['reason'] === 'string' && { reason: values['reason'] }),
    ...(typeof values['name'] === 'string' && { name: values['name'] }),
    ...(typeof values['key'] === 'string' && { key: values['key'] }),
  };
}

function parsed(
  line: CommandLine,
  args: readonly string[],
): { values: Record<string, string | boolean | undefined>; words: string[] } {
  const flags = line.flags.map(
    ({ name, takes }) => [name, { type: takes === undefined ? 'boolean' : 'string' }] as const,
  );
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...Object.fromEntries(flags), help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    return { values: values as Record<string, string | boolean | undefined>, words: positionals };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\nUsage: ./lumatrace ${line.usage}`, { cause: error });
  }
}

export function helpText(command: CommandName): string {
  const line: CommandLine = COMMANDS[command];
  const flags = line.flags.map(({ name, takes, description }) => {
    const word = takes === undefined ? `--${name}` : `--${name} ${takes}`;
    return `  ${word.padEnd(18)} ${description}`;
  });
  return [`Usage: ./lumatrace ${line.usage}`, '', line.summary, '', ...flags, '', line.more, ''].join('\n');
}

export const GUIDE_FILE = `${PROJECT}docs/guides/configuration.md`;

/** The guide, made from the tables. */
export function guide(): string {
  const rows = Object.values<Variable<unknown>>(VARIABLES).map(
    ({ name, kind, default: byDefault, description, secret }) => {
      const note = secret === true ? ' Secret: never printed.' : '';
      const shown = byDefault === undefined || byDefault === '' ? '–' : `\`${byDefault}\``;
      return `| \`${name}\` | ${kind.replaceAll('|', '\\|')} | ${shown} | ${description}${note} |`;
    },
  );
  const commands = (Object.keys(COMMANDS) as CommandName[]).map(
    (name) => `\`\`\`text\n${helpText(name).trimEnd()}\n\`\`\``,
  );
  return `# Configuration

<!-- Made by packages/server/src/config.ts: change the table there, then run it with --write. -->

Flags win over environment variables, environment variables over defaults. All are checked at the start: a bad value stops
it with exit code 2 and names every fault; an unknown \`LUMATRACE_…\` variable is a warning.

| variable | value | default | meaning |
|---|---|---|---|
${rows.join('\n')}

Settings of the embedded PostgreSQL: put lines of \`postgresql.conf\` into \`postgres.conf\` in the data folder; they are read
last at every start.

## Commands

${commands.join('\n\n')}
`;
}

if (import.meta.main) {
  if (process.argv.includes('--write')) await writeFile(GUIDE_FILE, guide());
  else process.stdout.write((await readFile(GUIDE_FILE, 'utf8').catch(() => '')) === guide() ? 'current\n' : guide());
}
