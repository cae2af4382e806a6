// The command `doctor`, and what the production profile refuses to start with.
import { storageToRead } from '../archive.ts';
import { shownConfig, type Config, type Invocation } from '../config.ts';
import { DataFolderRefused } from '../data-folder.ts';
import type { Database } from '../storage/database.ts';
import { examine, type Finding } from './checks.ts';
import { databaseFacts, installationFacts } from './facts.ts';
import { noteRefusedStart } from '../notes.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What would be unsafe; every fault with its remedy. */
export class UnsafeInstallation extends Error {
  readonly code = 'CONFLICT';
  readonly findings: readonly Finding[];
  constructor(findings: readonly Finding[]) {
    const lines = findings.map(({ id, says, mend }) => `  ${id}: ${says} ${mend ?? ''}`.trimEnd());
    super(`The production profile refuses to start:\n${lines.join('\n')}`);
    this.findings = findings;
  }
}

/**
 * Does nothing but in the production profile. Called twice: before the database starts, and with it. What could not be
 * looked at refuses nothing; `doctor` shows it.
 * @throws UnsafeInstallation
 */
export async function refuseUnsafe(config: Config, environment: Environment, database?: Database): Promise<void> {
  if (config.profile !== 'production') return;
  const failed = (await findingsOf(config, environment, database)).filter(({ state }) => state === 'failed');
  if (failed.length === 0) return;
  await noteRefusedStart(config.dataDir, { at: new Date(), ids: failed.map(({ id }) => id) });
  throw new UnsafeInstallation(failed);
}

async function findingsOf(config: Config, environment: Environment, database?: Database): Promise<Finding[]> {
  const facts = await installationFacts(config, environment);
  if (database === undefined) return examine(facts);
  return examine({ ...facts, database: await databaseFacts(database, config.databaseUrl) });
}

/** The command `doctor`; prints, and returns its exit code: 1 when a check failed. */
export async function doctorCommand({ config, json }: Invocation): Promise<number> {
  const findings = await withDatabase(config, (database) => findingsOf(config, process.env, database));
  const hasFailed = findings.some(({ state }) => state === 'failed');
  const settings = shownConfig(process.env);
  if (json === true)
    process.stdout.write(`${JSON.stringify({ profile: config.profile, findings, settings }, null, 2)}\n`);
  else process.stdout.write(textOf(config, findings, settings));
  return hasFailed ? 1 : 0;
}

/** Also where no database was made yet: then its checks say that they do not know. */
async function withDatabase<T>(config: Config, work: (database?: Database) => Promise<T>): Promise<T> {
  const opened = await storageToRead(config).catch((error: unknown) => {
    if (error instanceof DataFolderRefused) return undefined;
    throw error;
  });
  if (opened === undefined) return work();
  try {
    return await work(opened.storage.database);
  } finally {
    await opened.close();
  }
}

function textOf(config: Config, findings: readonly Finding[], settings: Readonly<Record<string, string>>): string {
  const lines = findings.flatMap(({ id, state, says, mend }) => [
    `${state.padEnd(8)} ${id.padEnd(24)} ${says}`,
    ...(mend === undefined ? [] : [`${' '.repeat(34)}→ ${mend}`]),
  ]);
  const count = (state: Finding['state']): number => findings.filter((one) => one.state === state).length;
  const sum = `${count('ok')} ok, ${count('warning')} warnings, ${count('failed')} failed, ${count('unknown')} unknown; profile ${config.profile}`;
  const set = Object.entries(settings).map(([name, value]) => `  ${name}=${value}`);
  return [...lines, '', sum, '', 'Settings:', ...set, ''].join('\n');
}
