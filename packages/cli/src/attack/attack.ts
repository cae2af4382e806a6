// Runs the families one after another: each first against its holes, then against the instance.
import type { Family } from './family.ts';
import { findsHole } from './planted.ts';
import { randomFrom, seedOf } from './random.ts';
import { Scene, type Stage } from './scene.ts';
import { hangUp } from './shot.ts';
import type { Prepared } from './stage.ts';
import { Tally, type FamilyResult } from './tally.ts';
import type { ToolName } from './tools.ts';
import { warmUp } from './warm-up.ts';
import { watch, type WatchFigures } from './watch.ts';

export interface Report {
  seed: number;
  seconds: number;
  families: number;
  planted: number;
  plantedFound: number;
  tried: number;
  accepted: number;
  serverErrors: number;
  /** 1 when the server's process was watched, 0 when it is another's: restarts and memory are then not known and 0. */
  watched: number;
  restarts: number;
  rssGrowthMb: number;
  rssPeakGrowthMb: number;
  matrixCells: number;
  matrixMismatches: number;
  /** Transactions of fifty tenants by turns through PgBouncer; 0 when it could not be had (`skipped`). */
  interleavedTransactions: number;
  /** Rows of another tenant that one of them was shown, changed or made. */
  foreignRows: number;
  deniedWritesNotAudited: number;
  /** 95th percentile of 5,000 verifications of tokens by the server's own code over its database, without HTTP; 0 unmeasured. */
  tokenVerifyP95Ms: number;
  /** Collections that were read from checkouts, with the number of their members; built-in ones stand for the others. */
  corpora: Record<string, number>;
  corporaMissing: string[];
  skipped: { family: string; because: string }[];
  perFamily: FamilyResult[];
}

export interface AttackOptions {
  families: readonly Family[];
  seed: number;
  /** No further family begins after so long. */
  secondsAtMost: number;
  say(line: string): void;
  /** How long the server is left alone before its memory is looked at. */
  settleMs?: number;
}

export async function attack(prepared: Prepared, options: AttackOptions): Promise<Report> {
  const { stage, instance, cannot } = prepared;
  const { seed, say } = options;
  const startedMs = performance.now();
  const perFamily: FamilyResult[] = [];
  const skipped: Report['skipped'] = [];
  const watching = instance === undefined ? undefined : watch(instance, options.settleMs);
  await warmUp(stage);
  watching?.startMemory();
  const pooled = pooledStages(prepared);
  for (const family of options.families) {
    const because =
      (family.needsPooler === true ? (cannot.needsPooler ?? (await pooled.missing())) : undefined) ??
      (family.needsForeign === true ? cannot.needsForeign : undefined) ??
      (family.needsGrpc === true ? cannot.needsGrpc : undefined) ??
      (family.needsTool === undefined ? undefined : whyNot(stage, family.needsTool)) ??
      (performance.now() - startedMs > options.secondsAtMost * 1_000 ? 'the time that was given is over' : undefined);
    if (because !== undefined) {
      skipped.push({ family: family.name, because });
      perFamily.push({ ...new Tally().result(family.name, 0, 0), notRun: because });
      say(`${family.name}: skipped, ${because}`);
      continue;
    }
    const result = await runFamily(family.needsPooler === true ? await pooled.stage() : stage, family, seed);
    if (watching !== undefined) result.more['rssGrowthMb'] = watching.grownMb();
    perFamily.push(result);
    say(lineOf(result));
  }
  await pooled.close();
  const watched: WatchFigures = (await watching?.figures()) ?? { restarts: 0, rssGrowthMb: 0, rssPeakGrowthMb: 0 };
  watching?.stop();
  hangUp();
  return {
    ...summary(perFamily, seed, startedMs),
    watched: watching === undefined ? 0 : 1,
    ...watched,
    ...corporaOf(stage),
    skipped,
    perFamily,
  };
}

function whyNot({ tools }: Stage, name: ToolName): string | undefined {
  return tools?.paths[name] === undefined ? (tools?.because[name] ?? 'nobody looked for it') : undefined;
}

/** The instance behind the pooler is started for the first family that needs it. */
function pooledStages({ openPooled }: Prepared) {
  let opened: ReturnType<NonNullable<Prepared['openPooled']>> | undefined;
  const open = () => (opened ??= openPooled?.() ?? Promise.reject(new Error('there is none')));
  return {
    missing: () =>
      open().then(
        () => undefined,
        (error: Error) => `no instance behind a pooler: ${error.message}`,
      ),
    stage: async () => (await open()).stage,
    close: async () => (await opened?.catch(() => undefined))?.close(),
  };
}

async function runFamily(stage: Stage, family: Family, seed: number): Promise<FamilyResult> {
  const tally = new Tally();
  const missed: string[] = [];
  let plantedFound = 0;
  for (const hole of family.holes) {
    const found = await findsHole(stage, family, hole, seed).catch((error: unknown) => broken(error));
    if (found === true) plantedFound++;
    else missed.push(`${hole.name}${found === false ? '' : `: ${found}`}`);
  }
  const scene = new Scene(stage, stage.target, tally, randomFrom(seedOf(seed, family.name)), false);
  await family
    .run(scene)
    .catch((error: unknown) => tally.fail(`the family could not go on: ${broken(error)}`, family.name, 0));
  await stillKnown(scene);
  const result = tally.result(family.name, family.holes.length, plantedFound);
  for (const name of missed) result.findings.push({ what: 'a planted hole was not found', request: name, status: 0 });
  return result;
}

/** An attacker whose key was revoked on the way would be refused everything from then on, and prove nothing. */
async function stillKnown(scene: Scene): Promise<void> {
  const shot = { method: 'GET', path: '/api/settings', headers: scene.ownKey };
  const { status, text } = await scene.ask(shot);
  if (status !== 200) scene.tally.fail(`the attacker's own key is not served any more: ${text}`, shot.path, status);
}

/** What stops a family is told with the result; the others go on. */
function broken(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function summary(rows: readonly FamilyResult[], seed: number, startedMs: number) {
  const sum = (read: (row: FamilyResult) => number): number => rows.reduce((total, row) => total + read(row), 0);
  return {
    seed,
    seconds: Math.round((performance.now() - startedMs) / 1_000),
    families: rows.filter(({ notRun }) => notRun === undefined).length,
    planted: sum(({ planted }) => planted),
    plantedFound: sum(({ plantedFound }) => plantedFound),
    tried: sum(({ tried }) => tried),
    accepted: sum(({ accepted }) => accepted),
    serverErrors: sum(({ serverErrors }) => serverErrors),
    matrixCells: sum(({ more }) => more['cells'] ?? 0),
    matrixMismatches: sum(({ more }) => more['matrixMismatches'] ?? 0),
    interleavedTransactions: sum(({ more }) => more['interleavedTransactions'] ?? 0),
    foreignRows: sum(({ more }) => more['foreignRows'] ?? 0),
    deniedWritesNotAudited: sum(({ more }) => more['deniedWritesNotAudited'] ?? 0),
    tokenVerifyP95Ms: sum(({ more }) => more['tokenVerifyP95Ms'] ?? 0),
  };
}

function corporaOf({ corpora }: Stage): Pick<Report, 'corpora' | 'corporaMissing'> {
  return { corpora: corpora.from, corporaMissing: corpora.missing };
}

/** One line for people. */
export function lineOf(row: FamilyResult): string {
  const { family, tried, refused, accepted, serverErrors, p95Ms, planted, plantedFound } = row;
  const counts = [
    `${String(tried).padStart(6)} tried`,
    `${String(refused).padStart(6)} refused`,
    `${String(accepted).padStart(3)} accepted`,
    `${String(serverErrors).padStart(3)} errors`,
    `p95 ${String(p95Ms).padStart(7)} ms`,
    `holes ${plantedFound}/${planted}`,
  ];
  const findings = row.findings.map(({ what, request, status }) => `\n    ${status} ${what}\n        ${request}`);
  return `${family.padEnd(14)}${counts.join('  ')}${findings.join('')}`;
}
