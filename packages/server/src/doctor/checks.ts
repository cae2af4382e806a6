// What makes an installation unsafe, as a list of questions to its facts. Pure: facts in, findings out.
import { isIP } from 'node:net';
import { COMPARED_ON, NODE_ENDS, POSTGRESQL_ENDS } from './support-ends.ts';

/** `unknown`: it could not be looked at; never taken for `ok`. */
export type State = 'ok' | 'warning' | 'failed' | 'unknown';

export interface Finding {
  id: string;
  state: State;
  /** What was seen, without secrets. */
  says: string;
  /** What to do; absent when there is nothing to do. */
  mend?: string;
}

/** Of a file or folder: permission bits, and whether it belongs to this user. */
export interface Permissions {
  path: string;
  mode: number;
  isOurs: boolean;
}

export interface Certificate {
  /** For people: `of the listeners`, `that signs photographs`. */
  name: string;
  endsAt: Date;
}

/** As the database told it through the connections that we use. */
export interface DatabaseFacts {
  /** Of pg_settings: name → value. */
  settings: Readonly<Record<string, string>>;
  /** The role of requests is a superuser or passes row level security. */
  isAppRoleMighty: boolean;
  /** Its clock minus ours. */
  skewMs: number;
  /** Half of the time that the question took: the skew is known no better. */
  skewErrorMs: number;
  /** A wrong password was let in; undefined where that was not tried. */
  takesAnyPassword?: boolean;
  /** Of what signs photographs and time stamps now. */
  certificates: readonly Certificate[];
}

export interface Facts {
  nodeVersion: string;
  now: Date;
  host?: string | undefined;
  publicUrl?: string | undefined;
  isTls: boolean;
  hasTrustedProxies: boolean;
  /** DATABASE_URL and DATABASE_DIRECT_URL, where set. */
  databaseUrls: readonly string[];
  metricsToken?: string | undefined;
  hasSecurityContact: boolean;
  unknownVariables: readonly string[];
  dataDir?: Permissions | undefined;
  kek?: (Permissions & { bytes: Uint8Array }) | undefined;
  hasFirstRunFile: boolean;
  /** Soft limit of core dumps, bytes; Infinity for none; undefined where the system does not tell. */
  coreLimit?: number | undefined;
  database?: DatabaseFacts | undefined;
  /** Certificates in files: of the listeners, and one that the operator brought. */
  certificates: readonly Certificate[];
  /** Files with secrets besides the key of all keys: of TLS and of webhooks, where set. */
  secretFiles: readonly Permissions[];
  lastBackupAt?: Date | undefined;
  /** Of the file system of the data folder, for this user. */
  disk?: { freeBytes: number; totalBytes: number } | undefined;
  /** Starts that the production profile refused, the oldest first. */
  refusedStarts: readonly { at: Date; ids: readonly string[] }[];
}

type Check = (facts: Facts) => Finding;

const MOST_SKEW_MS = 2_000;
const OTHERS = 0o077;
const EVERYBODY = 0o007;
const MIN_TOKEN_CHARACTERS = 24;
/** 32 random bytes have fewer different values than this about once in 10^14. */
const MIN_DISTINCT_KEK_BYTES = 18;
/** Passwords of tutorials and container images. */
const KNOWN_SECRETS = new Set(
  'postgres password passwort admin root secret changeme change-me lumatrace lumina test demo example 123456 12345678'.split(
    ' ',
  ),
);
const LIST_AGE_DAYS = 400;
const DAY_MS = 86_400_000;
const BACKUP_DAYS = 7;
/** Ours are renewed with a month left: one that is nearer to its end was not. */
const CERTIFICATE_DAYS = 14;
const REFUSED_DAYS = 7;
/** PostgreSQL stops with a full disk, and needs room to start again. */
const LEAST_FREE_BYTES = 256 * 2 ** 20;
const LITTLE_FREE_BYTES = 2 * 2 ** 30;
const LITTLE_FREE_PART = 0.05;
const GIB = 2 ** 30;

function finding(id: string, state: State, says: string, mend?: string): Finding {
  return { id, state, says, ...(mend !== undefined && state !== 'ok' && { mend }) };
}

export function isLoopbackName(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

const CHECKS: readonly Check[] = [
  function plainHttp({ host, publicUrl, isTls, hasTrustedProxies }) {
    const id = 'plain-http';
    if (isTls) return finding(id, 'ok', 'The listeners speak TLS 1.3.');
    if (host === undefined || isLoopbackName(host)) return finding(id, 'ok', 'Plain HTTP stays on this machine.');
    const mend = 'Set LUMATRACE_TLS=files or generated; or listen on loopback behind a proxy that speaks TLS.';
    if (publicUrl?.startsWith('https:') === true && hasTrustedProxies)
      return finding(id, 'warning', `Plain HTTP on ${host}, for the proxies in LUMATRACE_TRUSTED_PROXIES.`, mend);
    return finding(id, 'failed', `Plain HTTP is served on ${host}: keys and sessions can be read on the way.`, mend);
  },
  function databaseTls({ databaseUrls }) {
    const id = 'database-tls';
    const weak = databaseUrls.map(offHostWithoutProof).find((host) => host !== undefined);
    if (weak === undefined) return finding(id, 'ok', 'The way to the database is on this machine or proven by TLS.');
    const mend =
      'Add sslmode=verify-full to the address of the database, and sslrootcert=FILE for an authority of yours.';
    return finding(id, 'failed', `The connection to ${weak} does not prove who answers.`, mend);
  },
  function databasePassword({ databaseUrls }) {
    const id = 'database-password';
    const isKnown = databaseUrls.some((text) => {
      const { username, password } = new URL(text);
      const clear = decoded(password).toLowerCase();
      return clear !== '' && (KNOWN_SECRETS.has(clear) || clear === decoded(username).toLowerCase());
    });
    if (!isKnown) return finding(id, 'ok', 'The password of the database is none of the well-known ones.');
    return finding(
      id,
      'failed',
      'The password of the database is a well-known one.',
      'Set another with ALTER ROLE … PASSWORD, and put it into DATABASE_URL.',
    );
  },
  function databaseTrust({ databaseUrls, database }) {
    const id = 'database-authentication';
    if (databaseUrls.length === 0)
      return finding(id, 'ok', 'The embedded PostgreSQL listens on a private socket only.');
    const mend = 'Replace "trust" in pg_hba.conf by "scram-sha-256", and reload PostgreSQL.';
    if (database?.takesAnyPassword === undefined) return finding(id, 'unknown', 'No wrong password was tried.');
    return database.takesAnyPassword
      ? finding(id, 'failed', 'The database lets in who knows no password.', mend)
      : finding(id, 'ok', 'The database refuses a wrong password.');
  },
  function databaseDurability({ database }) {
    const id = 'database-durability';
    if (database === undefined) return finding(id, 'unknown', 'The database was not asked.');
    const names = ['fsync', 'full_page_writes', 'synchronous_commit'];
    const off = names.filter((name) => database.settings[name] === 'off');
    if (off.length === 0) return finding(id, 'ok', 'What the database acknowledges is on disk.');
    const mend = `Remove ${off.map((name) => `"${name} = off"`).join(', ')} from the configuration of PostgreSQL (for the embedded one: postgres.conf in the data folder), and restart.`;
    return finding(id, 'failed', `${off.join(', ')}: off. A crash may lose or corrupt data.`, mend);
  },
  function databaseRole({ database }) {
    const id = 'database-role';
    if (database === undefined) return finding(id, 'unknown', 'The database was not asked.');
    if (!database.isAppRoleMighty) return finding(id, 'ok', 'Row level security binds the role of requests.');
    const mend = 'ALTER ROLE lumatrace_app NOSUPERUSER NOBYPASSRLS;';
    return finding(id, 'failed', 'The role lumatrace_app passes row level security.', mend);
  },
  function clock({ database }) {
    const id = 'clock';
    if (database === undefined) return finding(id, 'unknown', 'There was no second clock to compare with.');
    const { skewMs, skewErrorMs } = database;
    const says = `The clock of the database differs by ${Math.round(Math.abs(skewMs))} ms (known to ${Math.ceil(skewErrorMs)} ms).`;
    const isWrong = Math.abs(skewMs) - skewErrorMs > MOST_SKEW_MS;
    return finding(
      id,
      isWrong ? 'failed' : 'ok',
      says,
      'Run an NTP client (chrony, systemd-timesyncd) on both machines.',
    );
  },
  function node({ nodeVersion, now }) {
    const major = Number(/^v?(\d+)\./.exec(nodeVersion)?.[1]);
    const mend = 'Run ./lumatrace, which brings a supported Node, or put a newer one on PATH.';
    return supported('node', 'Node', nodeVersion, NODE_ENDS.get(major), now, mend);
  },
  function postgresql({ database, now }) {
    const number = Number(database?.settings['server_version_num']);
    if (!Number.isFinite(number)) return finding('postgresql', 'unknown', 'The database was not asked.');
    const major = Math.floor(number / 10_000);
    return supported('postgresql', 'PostgreSQL', String(major), POSTGRESQL_ENDS.get(major), now, 'Upgrade PostgreSQL.');
  },
  function dataFolder({ dataDir }) {
    return private_('data-folder', 'data folder', dataDir, '700');
  },
  function kekFile({ kek }) {
    return private_('kek-file', 'key of all keys', kek, '400');
  },
  function kekStrength({ kek }) {
    const id = 'kek-strength';
    if (kek === undefined) return finding(id, 'unknown', 'There is no key yet.');
    if (new Set(kek.bytes).size >= MIN_DISTINCT_KEK_BYTES)
      return finding(id, 'ok', 'The key of all keys looks random.');
    const mend = 'Restore a backup into an installation with a key of its own: the first start makes one.';
    return finding(id, 'failed', 'The key of all keys is a pattern, not 32 random bytes.', mend);
  },
  function secretFiles({ secretFiles: files }) {
    const id = 'secret-files';
    // a group may read them: keys of TLS are often shared by one
    const open = files.find(({ mode }) => (mode & EVERYBODY) !== 0);
    if (open === undefined) return finding(id, 'ok', 'Not everybody reaches the files of other secrets.');
    const says = `The secret ${open.path} is open to everybody (mode ${(open.mode & 0o777).toString(8)}).`;
    return finding(id, 'failed', says, `chmod 400 ${open.path}, or 440 where a group needs it.`);
  },
  function certificates({ certificates: files, database, now }) {
    const id = 'certificates';
    const left = ({ endsAt }: Certificate): number => (endsAt.getTime() - now.getTime()) / DAY_MS;
    const [first] = [...files, ...(database?.certificates ?? [])].toSorted((a, b) => left(a) - left(b));
    const day = first?.endsAt.toISOString().slice(0, 10) ?? '';
    if (first === undefined || left(first) > CERTIFICATE_DAYS) {
      if (database === undefined) return finding(id, 'unknown', 'The database was not asked for its certificates.');
      const says = first === undefined ? 'There is none yet.' : `The first to end, ${first.name}, ends on ${day}.`;
      return finding(id, 'ok', says);
    }
    const mend =
      'Bring a new one of yours; ours are renewed by a start and every night: see "certificates" in the log for why not.';
    const says = `The certificate ${first.name} ${left(first) > 0 ? 'ends' : 'ended'} on ${day}.`;
    return finding(id, 'warning', says, mend);
  },
  function backups({ lastBackupAt, now }) {
    const id = 'backup';
    const mend = './lumatrace backup FILE, every day by a timer; see docs/guides/backup.md.';
    if (lastBackupAt === undefined) return finding(id, 'warning', 'No backup was made here by ./lumatrace.', mend);
    const days = Math.floor((now.getTime() - lastBackupAt.getTime()) / DAY_MS);
    const says = `The last backup is of ${lastBackupAt.toISOString()}, ${days} days ago.`;
    return finding(id, days >= BACKUP_DAYS ? 'warning' : 'ok', says, mend);
  },
  function disk({ disk: room }) {
    const id = 'disk';
    if (room === undefined) return finding(id, 'unknown', 'The system does not tell the room on the disk.');
    const { freeBytes, totalBytes } = room;
    const says = `${(freeBytes / GIB).toFixed(1)} of ${(totalBytes / GIB).toFixed(0)} GiB are free where the data folder is.`;
    const isLittle = freeBytes < LITTLE_FREE_BYTES || freeBytes < totalBytes * LITTLE_FREE_PART;
    const state = freeBytes < LEAST_FREE_BYTES ? 'failed' : isLittle ? 'warning' : 'ok';
    return finding(id, state, says, 'Make room, or shorten the retention in the settings of the workspaces.');
  },
  function refused({ refusedStarts: starts, now }) {
    const id = 'refused-starts';
    const recent = starts.filter(({ at }) => now.getTime() - at.getTime() < REFUSED_DAYS * DAY_MS);
    const last = recent.at(-1);
    if (last === undefined) return finding(id, 'ok', 'No start was refused in the last week.');
    const says = `${recent.length} starts were refused in the last week, the last one at ${last.at.toISOString()} for ${last.ids.join(', ')}.`;
    const mend = 'If that is mended, nothing; they stand in refused-starts.jsonl in the data folder.';
    return finding(id, 'warning', says, mend);
  },
  function metricsToken({ metricsToken: token }) {
    const id = 'metrics-token';
    if (token === undefined) return finding(id, 'ok', 'Only this machine may read the metrics.');
    const isWeak = token.length < MIN_TOKEN_CHARACTERS || KNOWN_SECRETS.has(token.toLowerCase());
    if (!isWeak) return finding(id, 'ok', 'The token of the metrics is long enough.');
    const mend = 'Set LUMATRACE_METRICS_TOKEN to a random text, such as of: openssl rand -hex 24';
    return finding(
      id,
      'failed',
      `LUMATRACE_METRICS_TOKEN is well known or shorter than ${MIN_TOKEN_CHARACTERS} characters.`,
      mend,
    );
  },
  function firstRun({ hasFirstRunFile }) {
    const id = 'first-run-file';
    if (!hasFirstRunFile) return finding(id, 'ok', 'The first login is not on disk.');
    const mend = 'Log in, change the password, store the key elsewhere, and delete first-run.json in the data folder.';
    return finding(id, 'warning', 'first-run.json still holds the first login and a key in clear.', mend);
  },
  function coreDumps({ coreLimit }) {
    const id = 'core-dumps';
    if (coreLimit === undefined) return finding(id, 'unknown', 'The system does not tell the limit of core dumps.');
    if (coreLimit === 0) return finding(id, 'ok', 'A crash writes no memory to disk.');
    return finding(
      id,
      'warning',
      'A crash may write keys and content to disk.',
      'Start with "ulimit -c 0" or LimitCORE=0.',
    );
  },
  function securityContact({ hasSecurityContact }) {
    const id = 'security-contact';
    if (hasSecurityContact) return finding(id, 'ok', 'security.txt names a contact.');
    return finding(
      id,
      'warning',
      'There is no security.txt.',
      'Set LUMATRACE_SECURITY_CONTACT to an address or URL of yours.',
    );
  },
  function variables({ unknownVariables }) {
    const id = 'variables';
    if (unknownVariables.length === 0) return finding(id, 'ok', 'Every LUMATRACE_ variable is known.');
    return finding(
      id,
      'warning',
      `Without effect: ${unknownVariables.join(', ')}.`,
      'See docs/guides/configuration.md.',
    );
  },
];

/** One finding per check, in a fixed order. */
export function examine(facts: Facts): Finding[] {
  return CHECKS.map((check) => check(facts));
}

/** The host of an address that is elsewhere and need not prove itself; undefined for a safe one. */
function offHostWithoutProof(text: string): string | undefined {
  const url = new URL(text);
  const host = url.searchParams.get('host') ?? decoded(url.hostname);
  if (host === '' || host.startsWith('/') || isLoopbackName(host)) return undefined;
  return url.searchParams.get('sslmode') === 'verify-full' ? undefined : host;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function supported(
  id: string,
  name: string,
  version: string,
  end: string | undefined,
  now: Date,
  mend: string,
): Finding {
  const listAgeDays = (now.getTime() - Date.parse(COMPARED_ON)) / DAY_MS;
  if (end === undefined)
    return finding(id, 'unknown', `${name} ${version} is not in the list of ${COMPARED_ON}.`, 'Update LumaTrace.');
  if (now.getTime() >= Date.parse(end) + DAY_MS)
    return finding(id, 'failed', `${name} ${version} is not mended since ${end}.`, mend);
  if (listAgeDays > LIST_AGE_DAYS)
    return finding(id, 'warning', `The list of versions is of ${COMPARED_ON}.`, 'Update LumaTrace.');
  return finding(id, 'ok', `${name} ${version} is mended until ${end}.`);
}

function private_(id: string, name: string, permissions: Permissions | undefined, wanted: string): Finding {
  if (permissions === undefined) return finding(id, 'unknown', `There is no ${name} yet.`);
  const { path, mode, isOurs } = permissions;
  if (!isOurs)
    return finding(
      id,
      'failed',
      `The ${name} ${path} belongs to another user.`,
      `chown it to the user who runs LumaTrace.`,
    );
  if ((mode & OTHERS) === 0) return finding(id, 'ok', `Only its owner reaches the ${name}.`);
  const says = `The ${name} ${path} is open to others (mode ${(mode & 0o777).toString(8)}).`;
  return finding(id, 'failed', says, `chmod ${wanted} ${path}`);
}
