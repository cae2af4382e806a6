// The composition root: the one file that knows every room. `up` builds them in order, `backup` and `restore` the few they need.
import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino, destination, type Logger } from 'pino';
import { createAccess, type Access } from './access/access.ts';
import { createAuditCopies } from './access/audit-copies.ts';
import { checkpointKey } from './access/audit-checkpoint.ts';
import { createErasures, type Erasures } from './access/erasure.ts';
import type { TokenSigner } from './access/signing-keys.ts';
import { keepTokenKeys } from './access/token-rotation.ts';
import { backupCommand, restoreCommand, storageToRead } from './archive.ts';
import { readInvocation, unknownVariables, UsageError, type Config, type Invocation } from './config.ts';
import { keysCommand } from './keys-command.ts';
import { isKeyed, kekPath, openKek, settleKek, takeDataFolder } from './data-folder.ts';
import type { KekVersions, OpenedKek } from './data-folder.ts';
import { kekDoors, type KekDoors } from './kek-door.ts';
import { TRANSIT_LEASE, watchKek, type KekWatch } from './kek-watch.ts';
import { doctorCommand, refuseUnsafe } from './doctor/doctor.ts';
import { auditRoutes } from './http/audit.ts';
import { authRoutes } from './http/auth.ts';
import { loginSessionRoutes } from './http/login-sessions.ts';
import { passkeyRoutes } from './http/passkeys.ts';
import { memberRoutes } from './http/members.ts';
import { oidcRoutes } from './http/oidc.ts';
import { oauthRoutes } from './http/oauth.ts';
import { c2paRoutes } from './http/c2pa.ts';
import { createExplore, type Explore } from './explore/explore.ts';
import { createMetricReader } from './explore/metrics.ts';
import { trustAnchorRoutes } from './http/trust-anchors.ts';
import { createTenantAnchors } from './keys/tenant-anchors.ts';
import { certificateRoutes } from './http/certificates.ts';
import { detectRoutes } from './http/detect.ts';
import { docsRoutes } from './http/docs.ts';
import { createGrpc, type Grpc } from './http/grpc.ts';
import { keyInventoryRoutes } from './http/key-inventory.ts';
import { remindOfEnds } from './access/end-reminders.ts';
import { keyRoutes } from './http/keys.ts';
import { serviceAccountRoutes } from './http/service-accounts.ts';
import { createMetrics, type Metrics } from './http/metrics.ts';
import { openApiRoute } from './http/openapi.ts';
import { operationsRoutes } from './http/operations.ts';
import { otlpRoutes } from './http/otlp.ts';
import { BytesInFlight } from './http/otlp-body.ts';
import { langfuseRoutes } from './http/otlp-langfuse.ts';
import { metricRoutes } from './http/otlp-metrics.ts';
import type { OtlpRooms } from './http/otlp-signals.ts';
import { photoRoutes, type PhotosRoom } from './http/photos.ts';
import type { ResolutionRoom } from './photos/resolution.ts';
import { priceRoutes } from './http/prices.ts';
import { redactionRoutes } from './http/redaction.ts';
import type { Route } from './http/route.ts';
import { transparencyRoutes } from './http/transparency.ts';
import { erasureRoutes } from './http/erasure.ts';
import { auditKeyEvent, tenantKeyRoutes } from './http/tenant-keys.ts';
import { watermarkKeyRoutes } from './http/watermark-keys.ts';
import { createHttp, type Http } from './http/server.ts';
import { telemetryRoutes } from './http/telemetry.ts';
import { watched } from './http/watched.ts';
import { generatedFiles, readKeyPair, watchKeyPair, type TlsFiles } from './tls/tls.ts';
import { createIngest, type Ingest } from './ingest/ingest.ts';
import { createLogIngest, type LogIngest } from './ingest/logs.ts';
import { createMetricIngest, type MetricIngest } from './ingest/metrics.ts';
import { recostBatch } from './ingest/recost.ts';
import { upkeepSignals } from './ingest/signals-upkeep.ts';
import { upkeepTelemetry } from './ingest/upkeep.ts';
import { createTeller } from './isolation/tell.ts';
import { createWatch, type Watch } from './isolation/watch.ts';
import { everyTenant } from './storage/postgres/idempotency.ts';
import { keepSecrets } from './key-upkeep.ts';
import { createInstallationKeys, type InstallationKeys } from './keys/installation-keys.ts';
import { KekRing } from './keys/kek.ts';
import { createBrought, openKeyFile, type BroughtSource } from './keys/brought.ts';
import { openTransit } from './keys/transit.ts';
import { watchAnchors } from './keys/trust-anchors.ts';
import { createKeyInventory } from './keys/key-inventory.ts';
import { createPhotoCredentials, type PhotoCredentials } from './keys/photo-credentials.ts';
import { createPeopleSeal } from './keys/people-seal.ts';
import { createRevocations } from './keys/revocation.ts';
import { sealOpenRows } from './keys/sealing.ts';
import { SignerProcess, tokenKeysOf } from './keys/signer/client.ts';
import { wrappingKeyFrom } from './keys/signer/protocol.ts';
import type { TenantKeys } from './keys/tenant-key.ts';
import { createWatermarkKeys, type WatermarkKeys } from './keys/watermark-keys.ts';
import { createTenantKeys } from './keys/tenant-keys.ts';
import { createTenantRotation, type TenantRotation } from './keys/tenant-rotation.ts';
import { startJobs, type Jobs } from './jobs/jobs.ts';
import { Lifecycle, type Part } from './lifecycle.ts';
import { tenantsCommand } from './tenants-command.ts';
import { removeExpiredAnswers } from './photos/expiry.ts';
import { Once } from './photos/idempotency.ts';
import { createEgress } from './egress/egress.ts';
import { createWebhook, readWebhookSecret, type Webhook } from './egress/webhook.ts';
import { ImageThreads } from './photos/images.ts';
import { createOwnAuthority } from './timestamps/authority.ts';
import { createTimestampClient } from './timestamps/client.ts';
import { createTimestamps, type Timestamps } from './timestamps/timestamps.ts';
import { createPrices, type Prices } from './prices/prices.ts';
import { createRecost, type Recost } from './prices/recost.ts';
import { installTable } from './prices/table.ts';
import { createRedaction, type RedactionRoom } from './redaction/redaction.ts';
import { existingCluster } from './storage/embedded/cluster.ts';
import type { FolderLock } from './storage/lock.ts';
import { migrate, readMigrations } from './storage/migrate.ts';
import { openStorage, type Storage } from './storage/open.ts';
import { keepSeals } from './storage/seals.ts';
import { openLog, type Log } from './transparency/log.ts';
import { keepSequencing, type Sequencing } from './transparency/sequencing.ts';
import { insertAlert } from './storage/postgres/audit-alerts.ts';
import { dropExpiredPartitions, ensureDayPartitions, prepareDayPartitions } from './storage/postgres/partitions.ts';

const LOOPBACK = ['127.0.0.1', '::1'] as const;
const ANY = new Set(['0.0.0.0', '::']);
/** This machine does not have the address: no IPv6, or not on loopback. */
const NO_SUCH_ADDRESS = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']);

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`lumatrace: ${line}\n`);

async function main(): Promise<number> {
  try {
    const invocation = readInvocation(process.argv.slice(2), process.env);
    if (invocation.help !== undefined) {
      process.stdout.write(invocation.help);
      return 0;
    }
    for (const name of unknownVariables(process.env)) complain(`${name} is no variable of ours and has no effect.`);
    return await COMMANDS[invocation.command](invocation);
  } catch (error) {
    if (error instanceof UsageError) {
      complain(error.message);
      return 2;
    }
    // deliberate errors carry a code and a sentence for people; anything else is a fault of ours and shows its stack
    if (typeof (error as { code?: unknown }).code !== 'string') throw error;
    complain((error as Error).message);
    return 1;
  }
}

const COMMANDS: Record<Invocation['command'], (invocation: Invocation) => Promise<number>> = {
  up: ({ config, demo }) => up(config, demo),
  backup: backupCommand,
  restore: restoreCommand,
  doctor: doctorCommand,
  prices: pricesCommand,
  keys: keysCommand,
  tenants: tenantsCommand,
};

/** What the parts share, filled in as they start; each part reads only what an earlier one made. */
interface House {
  config: Config;
  log: Logger;
  lifecycle: Lifecycle;
  lock: FolderLock;
  storage: Storage;
  kek: OpenedKek;
  kekDoors: KekDoors;
  kekVersions: KekVersions;
  kekRing: KekRing;
  signer: SignerProcess;
  tenantKeys: TenantKeys;
  rotation: TenantRotation;
  erasures: Erasures;
  watermarkKeys: WatermarkKeys;
  access: Access;
  installationKeys: InstallationKeys;
  watch: Watch;
  prices: Prices;
  recost: Recost;
  redaction: RedactionRoom;
  ingest: Ingest;
  logs: LogIngest;
  metricIngest: MetricIngest;
  explore: Explore;
  photoCredentials: PhotoCredentials;
  brought: BroughtSource | undefined;
  timestamps: Timestamps;
  photos: PhotosRoom & ResolutionRoom;
  transparency: Log;
  jobs: Jobs;
  metrics: Metrics;
  http: Http;
  grpc: Grpc;
  /** Of all ways in together. */
  bytesInFlight: BytesInFlight;
  port: number;
  otlpPort: number;
  grpcPort: number;
}

async function up(config: Config, withDemo: boolean): Promise<number> {
  if (config.tls === 'files' && (config.tlsCertFile === undefined || config.tlsKeyFile === undefined))
    throw new UsageError('LUMATRACE_TLS=files needs LUMATRACE_TLS_CERT_FILE and LUMATRACE_TLS_KEY_FILE.');
  const log = pino({ level: config.logLevel, base: null }, destination({ dest: 2, sync: true }));
  const house = { config, log, metrics: createMetrics() } as House;
  const lifecycle = new Lifecycle(
    PARTS.map((part) => part(house)),
    complain,
  );
  house.lifecycle = lifecycle;
  return lifecycle.run(() => {
    house.lock.tell({ pid: process.pid, url: publicUrlOf(house) });
    if (house.kek.isNew) {
      say(
        `The key of all data is ${house.kek.file}: keep a copy of it elsewhere, neither data nor backups open without it.`,
      );
    }
    say(`LumaTrace is ready on ${urlOf(house, house.port)}`);
    if (withDemo) startDemo(house);
  });
}

const CLI = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));

/** The demo is a program of its own that knows nothing but the public API; it ends with us if it has not ended before. */
function startDemo({ config }: House): void {
  const demo = spawn(process.execPath, [CLI, 'demo', '--data', config.dataDir], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  demo.once('error', (error) => complain(`The demo did not start: ${error.message}`));
  process.once('exit', () => demo.kill());
}

/** In the order of starting; stopped in reverse. */
const PARTS: ReadonlyArray<(house: House) => Part> = [
  dataFolder,
  conditions,
  database,
  databaseConditions,
  signer,
  kekRotation,
  access,
  telemetry,
  transparency,
  photos,
  jobs,
  listeners,
];

function dataFolder(house: House): Part {
  return {
    name: 'the data folder',
    start: async () => void (house.lock = await takeDataFolder(house.config.dataDir)),
    stop: () => house.lock.release(),
  };
}

/** What the production profile refuses, before the database starts. */
function conditions({ config }: House): Part {
  return {
    name: 'the conditions',
    start: () => refuseUnsafe(config, process.env),
    stop: () => Promise.resolve(),
  };
}

/** The same with what the database tells of itself. */
function databaseConditions(house: House): Part {
  return {
    name: 'the conditions of the database',
    start: () => refuseUnsafe(house.config, process.env, house.storage.database),
    stop: () => Promise.resolve(),
  };
}

function database(house: House): Part {
  const { config, log } = house;
  return {
    name: 'the database',
    async start() {
      const { dataDir, databaseUrl, databaseDirectUrl } = config;
      const file = kekPath(dataDir, config.kekFile);
      house.kekDoors = kekDoors(config);
      const { door } = house.kekDoors;
      const isEmbedded = databaseUrl === undefined;
      // before the cluster: a start that is killed in between leaves a key and no data, not data and no key
      if (isEmbedded) house.kek = await openKek(file, async () => (await existingCluster(dataDir)) !== undefined, door);
      const storage = await openStorage({
        dataDir,
        databaseUrl,
        databaseDirectUrl,
        maxConnections: config.databaseConnections,
        log: (line) => log.info({ from: 'postgresql' }, line),
        onLost(error) {
          complain(error.message);
          house.lifecycle.end(1);
        },
      });
      try {
        if (storage.cluster?.mode === 'dropped') say(`PostgreSQL keeps its files in ${storage.cluster.folder}.`);
        if (!isEmbedded) house.kek = await openKek(file, () => isKeyed(storage.database), door);
        await migrate(storage.database.ownerPool, await readMigrations(), { takesRole: storage.takesRole });
        house.kekVersions = await settleKek(storage.database, file, door);
        house.kekRing = new KekRing(house.kekVersions.inUse, house.kekVersions.others);
      } catch (error) {
        await storage.close();
        throw error;
      }
      house.storage = storage;
    },
    stop: () => house.storage.close(),
  };
}

/** The process that alone opens private keys. */
function signer(house: House): Part {
  return {
    name: 'the signer',
    async start() {
      house.signer = await SignerProcess.start({
        wrappingKey: wrappingKeyFrom(house.kekVersions.inUse.bytes),
        otherWrappingKeys: house.kekVersions.others.map(({ bytes }) => wrappingKeyFrom(bytes)),
        directory: join(house.config.dataDir, 'run'),
        onRestart: ({ restarts, reason }) => house.log.warn({ restarts, reason }, 'the signer was started again'),
      });
    },
    stop: () => house.signer.close(),
  };
}

/** Goes over to a new version of the key above all keys while everything runs. */
function kekRotation(house: House): Part {
  let watch: KekWatch;
  return {
    name: 'the watch of the key',
    async start() {
      watch = await watchKek({
        database: house.storage.database,
        file: house.kek.file,
        door: house.kekDoors.door,
        ...(house.kekDoors.isTransit && { lease: TRANSIT_LEASE }),
        versions: house.kekVersions,
        ring: house.kekRing,
        signer: house.signer,
        onChange: (version, rewrapped) => house.log.info({ version, rewrapped }, 'the key above all keys was rotated'),
        onError: (error) => house.log.error({ error: String(error) }, 'the key above all keys'),
      });
    },
    stop: () => watch.stop(),
  };
}

function access(house: House): Part {
  const { config, log } = house;
  return {
    name: 'access',
    async start() {
      const { database } = house.storage;
      const kek = house.kekRing;
      house.port = config.port === 0 ? await freePort() : config.port;
      house.otlpPort = config.otlpPort === 0 ? await freePort() : config.otlpPort;
      house.grpcPort = config.grpcPort === 0 ? await freePort() : config.grpcPort;
      house.tenantKeys = createTenantKeys({ database, kek });
      house.rotation = createTenantRotation({
        database,
        tenantKeys: house.tenantKeys,
        kek,
        record: auditKeyEvent('system', 'rotation'),
        async alert(alert) {
          if (await database.inSystem((sql) => insertAlert(sql, alert))) log.error({ alert }, 'security alert');
        },
        onError: (error, tenantId) => log.error({ error: String(error), tenantId }, 'rotation of a data key'),
      });
      const installationKeys = createInstallationKeys({ database, kek });
      house.installationKeys = installationKeys;
      keepSeals(database, {
        people: createPeopleSeal(installationKeys),
        tenant: (tenantId) => house.tenantKeys.forTenant(tenantId),
      });
      const sealed = await sealOpenRows(database);
      if (sealed > 0) log.info({ sealed }, 'rows that stood in clear were sealed');
      house.erasures = createErasures({
        database,
        signingKey: checkpointKey((await installationKeys.secret('audit-checkpoint')).secret),
        forget: (tenantId) => house.tenantKeys.forget(tenantId),
      });
      house.watermarkKeys = createWatermarkKeys({ database, tenantKeys: house.tenantKeys, installationKeys });
      house.access = await createAccess({
        database,
        installationKeys,
        signer: tokenSigner(house.signer),
        egress: createEgress({ allow: config.oidcAllow }),
        publicUrl: publicUrlOf(house),
        otlpUrl: urlOf(house, house.otlpPort),
        dataDir: config.dataDir,
        limits: { requestsPerHour: config.requestsPerHour },
        tracesPerDay: config.tracesPerDay,
        retentionDays: config.retentionDays,
        onError: (error) => log.error({ error: String(error) }, 'access'),
      });
      await house.access.firstRun.bootstrap();
      await startWatch(house);
    },
    stop: () => Promise.resolve(),
  };
}

/** What is noticed becomes a row and a line; it is told, and checkpoints are kept, elsewhere where the operator says so. */
async function startWatch(house: House): Promise<void> {
  const { config, log, access: room } = house;
  const { database } = house.storage;
  const { auditLog } = room;
  const onError = (error: unknown): void => log.error({ error: String(error) }, 'the watch');
  const [alertHook, copyHook] = await Promise.all([
    operatorHook(config, config.alertUrl),
    operatorHook(config, config.auditCopyUrl),
  ]);
  const copies = createAuditCopies({
    auditLog,
    directory: join(config.dataDir, 'audit-checkpoints'),
    tenants: () => database.inSystem(everyTenant),
    ...(config.auditCopyFolder !== undefined && { folder: resolve(config.auditCopyFolder) }),
    ...(copyHook && { webhook: copyHook }),
    alert: (row) => house.watch.alert(row),
  });
  house.watch = createWatch({
    database,
    auditLog,
    onAlert: (alert) => log.error({ alert }, 'security alert'),
    onError,
    ...(alertHook && { teller: createTeller({ database, webhook: alertHook, onError }) }),
    keepElsewhere: () => copies.copy(),
  });
}

async function operatorHook({ webhookSecretFile, egressAllow }: Config, url?: string): Promise<Webhook | undefined> {
  if (url === undefined) return undefined;
  if (webhookSecretFile === undefined)
    throw new UsageError('LUMATRACE_ALERT_URL and LUMATRACE_AUDIT_COPY_URL need LUMATRACE_WEBHOOK_SECRET_FILE.');
  const secret = await readWebhookSecret(webhookSecretFile);
  return createWebhook({ url, secret, egress: createEgress({ allow: egressAllow }) });
}

function tokenSigner(signerProcess: SignerProcess): TokenSigner {
  return {
    ...tokenKeysOf(signerProcess),
    load: (kid, wrappedPrivate) => signerProcess.load(kid, wrappedPrivate),
    sign: (kid, tbs) => signerProcess.sign(kid, tbs),
  };
}

function telemetry(house: House): Part {
  const { metrics } = house;
  return {
    name: 'telemetry',
    async start() {
      await takePriceTable(house);
      const { database } = house.storage;
      const { tenantKeys } = house;
      house.prices = createPrices({ database });
      house.recost = recostOf(house);
      house.redaction = createRedaction({
        database,
        tenantKeys,
        onError: (error) => house.log.error({ error: String(error) }, 'redaction'),
      });
      const redactorOf = (tenantId: string) => house.redaction.redactorOf(tenantId);
      house.ingest = createIngest({
        database,
        tenantKeys,
        redactorOf,
        priceBookOf: (tenantId) => house.prices.bookOf(tenantId),
        tracesPerDay: house.config.tracesPerDay,
        ensurePartitions: (retentionClass, days) => ensureDayPartitions(database, retentionClass, days),
      });
      const lane = {
        database,
        ensurePartitions: (retentionClass: number, days: readonly number[]) =>
          ensureDayPartitions(database, retentionClass, days),
        nowMs: Date.now,
        redactorOf,
      };
      house.logs = createLogIngest({ ...lane, tenantKeys, recordsPerDay: house.config.logRecordsPerDay });
      house.metricIngest = createMetricIngest({ ...lane, pointsPerDay: house.config.metricPointsPerDay });
      house.explore = createExplore({ database, tenantKeys, secrets: house.installationKeys });
      const { ingest, logs, metricIngest } = house;
      for (const [name, help, read] of INGEST_GAUGES) metrics.gauge(name, help, () => read(ingest.counts()));
      for (const [name, help, read] of LOG_GAUGES) metrics.gauge(name, help, () => read(logs.counts()));
      for (const [name, help, read] of METRIC_GAUGES) metrics.gauge(name, help, () => read(metricIngest.counts()));
    },
    async stop() {
      await Promise.all([house.ingest.drain(), house.logs.drain(), house.metricIngest.drain()]);
      await house.redaction.close();
    },
  };
}

/** Prices stored spans again: the room of prices leads, that of ingest writes. */
function recostOf(house: House): Recost {
  const { database } = house.storage;
  return createRecost({
    database,
    bookOf: (tenantId) => house.prices.bookOf(tenantId),
    async priceAgain(tenantId, range, after, terms) {
      const key = await house.tenantKeys.forTenant(tenantId);
      return recostBatch(database, tenantId, range, after, { key, ...terms });
    },
    enqueue: (payload) => house.jobs.enqueue('recost', payload, { key: `recost-${payload.recostId}` }),
  });
}

/** The command `prices SOURCE`; prints, and returns its exit code. */
async function pricesCommand({ config, words: [from = ''] }: Invocation): Promise<number> {
  const { storage, close } = await storageToRead(config);
  try {
    const source = { from, sha256: config.priceTableSha256, by: 'the command prices' };
    const { isNew, table } = await installTable(storage.database, source, {
      egress: createEgress({ allow: config.egressAllow }),
    });
    const models = table.providers.reduce((sum, { models: own }) => sum + own.length, 0);
    say(
      `${isNew ? 'In use' : 'In use already'}: ${table.source} ${table.version}, ${models} models, SHA-256 ${table.sha256}.`,
    );
    return 0;
  } finally {
    await close();
  }
}

/** The operator's price table, when it is not in use yet. One that is wrong changes nothing and is told. */
async function takePriceTable({ config, storage, log }: House): Promise<void> {
  if (config.priceTable === undefined) return;
  const source = { from: config.priceTable, sha256: config.priceTableSha256, by: 'LUMATRACE_PRICE_TABLE' };
  try {
    const { isNew, table } = await installTable(storage.database, source, {
      egress: createEgress({ allow: config.egressAllow }),
    });
    if (isNew)
      log.info({ source: table.source, version: table.version, sha256: table.sha256 }, 'a price table was installed');
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'VALIDATION_FAILED') throw error;
    complain(`The price table was refused, the one before stays: ${(error as Error).message}`);
  }
}

type IngestCounts = ReturnType<Ingest['counts']>;
const INGEST_GAUGES: ReadonlyArray<readonly [string, string, (counts: IngestCounts) => number]> = [
  ['lumatrace_spans_stored_total', 'Spans written and committed, replacements included.', ({ stored }) => stored],
  ['lumatrace_spans_duplicate_total', 'Spans that came again unchanged.', ({ duplicates }) => duplicates],
  ['lumatrace_spans_replaced_total', 'Spans that came again with other content.', ({ replaced }) => replaced],
  ['lumatrace_spans_rejected_total', 'Spans that were refused alone.', ({ rejected }) => rejected],
  ['lumatrace_ingest_queued_spans', 'Spans that wait to be written.', ({ queuedSpans }) => queuedSpans],
];

type LogCounts = ReturnType<LogIngest['counts']>;
const LOG_GAUGES: ReadonlyArray<readonly [string, string, (counts: LogCounts) => number]> = [
  ['lumatrace_log_records_stored_total', 'Log records written and committed.', ({ stored }) => stored],
  ['lumatrace_log_records_duplicate_total', 'Log records and scores that came again.', ({ duplicates }) => duplicates],
  ['lumatrace_log_records_rejected_total', 'Log records that were refused alone.', ({ rejected }) => rejected],
  ['lumatrace_scores_stored_total', 'Scores written, replacements included.', ({ scores }) => scores],
];

type MetricCounts = ReturnType<MetricIngest['counts']>;
const METRIC_GAUGES: ReadonlyArray<readonly [string, string, (counts: MetricCounts) => number]> = [
  ['lumatrace_metric_points_stored_total', 'Data points written and committed.', ({ stored }) => stored],
  ['lumatrace_metric_points_duplicate_total', 'Data points that came again unchanged.', ({ duplicates }) => duplicates],
  ['lumatrace_metric_points_rejected_total', 'Data points that were refused alone.', ({ rejected }) => rejected],
  [
    'lumatrace_metric_points_not_kept_total',
    'Data points of no GenAI metric: taken, not kept.',
    ({ notKept }) => notKept,
  ],
];

/** Opens the log and gives places to what is committed, here and in every other process on this database. */
function transparency(house: House): Part {
  let sequencing: Sequencing;
  return {
    name: 'the transparency log',
    async start() {
      house.transparency = await openLog({ database: house.storage.database, signer: house.signer });
      sequencing = keepSequencing(house.transparency, (error) => house.log.error({ error: String(error) }, 'the log'));
    },
    stop: () => sequencing.stop(),
  };
}

function photos(house: House): Part {
  const { config } = house;
  let images: ImageThreads;
  return {
    name: 'photos',
    async start() {
      const { database } = house.storage;
      const warn = (warning: object): void => house.log.warn(warning, 'certificates');
      const brought = broughtCertificate(house, warn);
      house.brought = brought;
      const credentials = createPhotoCredentials({
        database,
        signer: house.signer,
        recoveryKitDir: join(config.dataDir, 'recovery-kit'),
        organization: config.organization,
        softBindingAlg: config.softBindingAlg,
        alg: config.c2paAlg,
        ...(brought && { brought }),
        ...(config.trustAnchorsFile && { furtherAnchorsPem: watchAnchors(config.trustAnchorsFile, warn) }),
      });
      await credentials.renew();
      const timestamps = await startTimestamps(house, credentials);
      images = new ImageThreads();
      house.photoCredentials = credentials;
      house.timestamps = timestamps;
      house.photos = {
        database,
        tenantKeys: house.tenantKeys,
        watermarkKeys: house.watermarkKeys,
        registrationSigner: credentials.registration,
        manifestCredentials: async () => ({
          ...(await credentials.manifest()),
          timestamper: timestamps.stamper,
          timestampAnchorsPem: await timestamps.anchorsPem(),
          generatorVersion: VERSION,
        }),
        images,
        log: house.transparency,
        once: new Once({ database }),
        clock: () => new Date(),
        softBindingAlg: config.softBindingAlg,
        tenantAnchorsPem: createTenantAnchors({ database }).pemOf,
      };
    },
    stop: () => images.close(),
  };
}

/** The operator's own certificate, when one is named: with its key in a file or in a transit engine. */
function broughtCertificate(
  { config, signer }: House,
  onWarning: (warning: object) => void,
): BroughtSource | undefined {
  const { c2paChainFile: chainFile, c2paKeyFile: keyFile, egressAllow } = config;
  const { c2paTransitUrl: url, c2paTransitKey: key, c2paTransitTokenFile: tokenFile } = config;
  const hasTransit = url !== undefined && key !== undefined && tokenFile !== undefined;
  const named = [keyFile, url, key, tokenFile].some((one) => one !== undefined);
  if (chainFile === undefined && !named) return undefined;
  if (chainFile === undefined || hasTransit === (keyFile !== undefined) || (!hasTransit && (url ?? key ?? tokenFile)))
    throw new UsageError(
      'Expected LUMATRACE_C2PA_CHAIN_FILE with either LUMATRACE_C2PA_KEY_FILE or all of LUMATRACE_C2PA_TRANSIT_URL, _KEY and _TOKEN_FILE.',
    );
  if (keyFile !== undefined)
    return createBrought({ chainFile, alsoWatched: [keyFile], open: openKeyFile(signer, resolve(keyFile)), onWarning });
  const egress = createEgress({ allow: egressAllow });
  const open = openTransit({ url: url as string, key: key as string, tokenFile: tokenFile as string, egress });
  return createBrought({ chainFile, alsoWatched: [], open, onWarning });
}

async function startTimestamps(
  { config, storage, signer, log }: House,
  credentials: PhotoCredentials,
): Promise<Timestamps> {
  const { tsa, tsaAnchorsFile, organization, egressAllow } = config;
  if (tsa !== 'own' && tsa !== 'off' && tsaAnchorsFile === undefined)
    throw new UsageError('LUMATRACE_TSA: an address needs LUMATRACE_TSA_ANCHORS_FILE, the roots of that authority.');
  const warn = ({ message }: { message: string }): void => log.warn(message);
  const further = tsaAnchorsFile && watchAnchors(tsaAnchorsFile, warn);
  // a file that cannot be used is told at the start, not at the first photograph
  if (further) await further();
  const timestamps = createTimestamps({
    source:
      tsa === 'off'
        ? null
        : tsa === 'own'
          ? { own: createOwnAuthority({ database: storage.database, signer, organization }) }
          : { ask: createTimestampClient(tsa, createEgress({ allow: egressAllow })) },
    ownAnchorsPem: async () => (await credentials.manifest()).ownAnchorsPem,
    ...(further && { furtherAnchorsPem: further }),
    revoked: async () =>
      new Set((await credentials.manifest()).revocations.map(({ certificateSha256 }) => certificateSha256)),
  });
  await timestamps.renew();
  return timestamps;
}

/** What happens by the clock; each may run twice, and a missed night is made up at the next start. */
function jobs(house: House): Part {
  return {
    name: 'the jobs',
    async start() {
      const { database, cluster } = house.storage;
      const daily = async (): Promise<void> => {
        await prepareDayPartitions(database, Date.now(), house.config.retentionDays);
        const dropped = await dropExpiredPartitions(database, Date.now());
        if (dropped.length > 0) house.log.info({ dropped }, 'expired partitions were dropped');
        await upkeepTelemetry(database, Date.now());
        await upkeepSignals(database, Date.now());
        await removeExpiredAnswers(database);
        await house.access.forgetEnded();
        await keepSecrets(database, house.installationKeys);
        await house.photoCredentials.renew();
        await house.timestamps.renew();
      };
      house.jobs = await startJobs({
        pool: database.ownerPool,
        handlers: {
          daily,
          async erase(_payload, signal) {
            await house.erasures.work(AbortSignal.any([signal, AbortSignal.timeout(ERASE_FOR_MS)]));
          },
          rotate: (_payload, signal) =>
            house.rotation.work(AbortSignal.any([signal, AbortSignal.timeout(ROTATE_FOR_MS)])),
          async inspect() {
            await house.watch.inspect();
            await remindOfEnds({ database, alert: house.watch.alert });
          },
          async tokenKeys() {
            await keepTokenKeys({ database, signer: tokenKeysOf(house.signer) });
          },
          async look() {
            await house.watch.look();
            // the schedule knows minutes only
            await house.jobs.enqueue('look', {}, { key: 'look', runAt: new Date(Date.now() + LOOK_AGAIN_MS) });
          },
          recost: ({ tenantId, recostId }, signal) => house.recost.work(String(tenantId), String(recostId), signal),
        },
        schedules: [
          { pattern: '17 0 * * *', task: 'daily' },
          { pattern: '*/10 * * * *', task: 'rotate' },
          { pattern: '* * * * *', task: 'erase' },
          { pattern: '29 * * * *', task: 'tokenKeys' },
          { pattern: '41 * * * *', task: 'inspect' },
          { pattern: '* * * * *', task: 'look' },
        ],
        log: house.log,
        isAlone: cluster !== undefined,
      });
      await prepareDayPartitions(database, Date.now(), house.config.retentionDays);
      await house.jobs.enqueue('daily', {}, { key: 'daily-at-start' });
      // not at the next full minute: what happened while nothing ran is told at once
      await house.jobs.enqueue('look', {}, { key: 'look' });
      await house.jobs.enqueue('rotate', {}, { key: 'rotate-at-start' });
    },
    stop: () => house.jobs.stop(),
  };
}

const LOOK_AGAIN_MS = 25_000;
/** A new version is in use by then. */
const ROTATED_AFTER_MS = 65_000;
/** Less than the ten minutes to the next round, which goes on where this one ended. */
const ROTATE_FOR_MS = 8 * 60_000;
/** Less than the minute to the next. */
const ERASE_FOR_MS = 50_000;

const VERSION = '0.1.0';
const DASHBOARD = fileURLToPath(new URL('../../dashboard/dist/', import.meta.url));

function listeners(house: House): Part {
  const { config, log } = house;
  let stopWatching: (() => void) | undefined;
  return {
    name: 'the listeners',
    async start() {
      house.bytesInFlight = new BytesInFlight();
      const files = await tlsFiles(config);
      const tls = files === undefined ? {} : { tls: await readKeyPair(files) };
      const http = await createHttp({
        routes: watched(routesOf(house), house.watch),
        access: house.access,
        log,
        metrics: house.metrics,
        publicUrl: publicUrlOf(house),
        ...tls,
        trustedProxies: config.trustedProxies,
        dashboardDir: DASHBOARD,
      });
      const { access, metrics: registry, bytesInFlight } = house;
      const grpc = createGrpc({ ...otlpRooms(house), access, log, registry, bytesInFlight, ...tls });
      house.http = http;
      house.grpc = grpc;
      try {
        await listenEverywhere(http, config.host, house.port, '--port');
        await listenEverywhere(http, config.host, house.otlpPort, '--otlp-port');
        await listenEverywhere(grpc, config.host, house.grpcPort, '--grpc-port');
      } catch (error) {
        await Promise.all([http.stop(0), grpc.stop(0)]);
        throw error;
      }
      if (files !== undefined)
        stopWatching = watchKeyPair(files, {
          onChange(pair) {
            http.replaceCertificate(pair);
            grpc.replaceCertificate(pair);
          },
          onRefused: (error) => log.error({ error: error.message }, 'the new certificate was refused, the old stays'),
        });
    },
    async stop() {
      stopWatching?.();
      await Promise.all([house.http.stop(), house.grpc.stop()]);
    },
  };
}

function otlpRooms({ ingest, logs, metricIngest }: House): OtlpRooms {
  return { ingest, logs, metrics: metricIngest };
}

function routesOf(house: House): Route[] {
  const { storage, signer: signerProcess, metrics } = house;
  const described = [
    ...otlpRoutes({ ...otlpRooms(house), bytesInFlight: house.bytesInFlight }),
    ...langfuseRoutes({
      logs: house.logs,
      tenant: (tenantId) => house.access.tenants.settings(tenantId),
      version: VERSION,
    }),
    ...telemetryRoutes({ explore: house.explore }),
    ...metricRoutes({ metricReader: createMetricReader({ database: storage.database }) }),
    ...priceRoutes({ prices: house.prices, recost: house.recost }),
    ...redactionRoutes({ redaction: house.redaction, explore: house.explore }),
    ...photoRoutes(house.photos),
    ...transparencyRoutes({ log: house.transparency, photos: { database: storage.database, log: house.transparency } }),
    ...tenantKeyRoutes({
      rotation: house.rotation,
      onRotated: () =>
        house.jobs.enqueue('rotate', {}, { key: 'rotate-soon', runAt: new Date(Date.now() + ROTATED_AFTER_MS) }),
    }),
    ...erasureRoutes({ erasures: house.erasures }),
    ...watermarkKeyRoutes({ watermarkKeys: house.watermarkKeys }),
    ...c2paRoutes({ room: house.photos, publicUrl: publicUrlOf(house) }),
    ...detectRoutes(house.photos),
    ...loginSessionRoutes(house.access),
    ...oauthRoutes({ access: house.access, issuer: publicUrlOf(house) }),
    ...authRoutes({ access: house.access, isTls: publicUrlOf(house).startsWith('https:') }),
    ...keyRoutes({ access: house.access }),
    ...serviceAccountRoutes({ access: house.access }),
    ...oidcRoutes({
      access: house.access,
      publicUrl: publicUrlOf(house),
      onFailure: ({ providerId, reason, cause }) =>
        house.log.warn({ providerId, reason, error: String(cause) }, 'single sign-on'),
    }),
    ...memberRoutes({ access: house.access, publicUrl: publicUrlOf(house) }),
    ...passkeyRoutes({ access: house.access, publicUrl: publicUrlOf(house) }),
    ...trustAnchorRoutes({
      tenantAnchors: createTenantAnchors({ database: storage.database }),
      installation: () => house.photos.manifestCredentials(),
    }),
    ...certificateRoutes({
      revocations: createRevocations({ database: storage.database }),
      renew: () => house.photoCredentials.renew(),
    }),
    ...keyInventoryRoutes({
      keyInventory: createKeyInventory({
        database: storage.database,
        brought: async () => house.brought?.shown() ?? null,
      }),
    }),
    ...auditRoutes({ access: house.access, watch: house.watch }),
    ...operationsRoutes({
      access: house.access,
      metrics,
      checks: {
        database: () => storage.database.ping(),
        kek: () =>
          house.kekRing.isHeld ? Promise.resolve() : Promise.reject(new Error('its engine does not open it')),
        signer: () => (signerProcess.pid === null ? Promise.reject(new Error('restarting')) : Promise.resolve()),
      },
      otlpUrl: urlOf(house, house.otlpPort),
      hasSpans: (tenantId) => house.explore.hasSpans(tenantId),
      ...(house.config.metricsToken === undefined ? {} : { metricsToken: house.config.metricsToken }),
    }),
  ];
  return [...described, openApiRoute(described, { version: VERSION, url: publicUrlOf(house) }), ...docsRoutes()];
}

/** Undefined for plain HTTP. */
async function tlsFiles({
  tls,
  tlsCertFile,
  tlsKeyFile,
  dataDir,
  host,
  publicUrl,
}: Config): Promise<TlsFiles | undefined> {
  if (tls === 'off') return undefined;
  if (tls === 'generated') {
    const further = [host, publicUrl === undefined ? undefined : new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')];
    const names = ['localhost', ...LOOPBACK, ...further.filter((name) => name !== undefined && !ANY.has(name))];
    return generatedFiles(dataDir, [...new Set(names as string[])]);
  }
  return { certFile: String(tlsCertFile), keyFile: String(tlsKeyFile) };
}

/** On both loopback addresses, the second only where the machine has it; or on the one address that was asked for. */
async function listenEverywhere(
  door: Pick<Http, 'listen'>,
  host: string | undefined,
  port: number,
  flag: string,
): Promise<void> {
  for (const address of host === undefined ? LOOPBACK : [host]) {
    const isSpare = host === undefined && address !== LOOPBACK[0];
    try {
      await door.listen({ host: address, port });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (isSpare && NO_SUCH_ADDRESS.has(code ?? '')) continue;
      throw cannotListen(code ?? String(error), { host: address, port, flag }, error);
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, LOOPBACK[0], resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return port;
}

/** Why a port cannot be had, and what to do. */
function cannotListen(
  code: string,
  { host, port, flag }: { host: string; port: number; flag: string },
  cause: unknown,
): Error {
  const sentences: Record<string, string> = {
    EADDRINUSE: `Port ${port} on ${host} is taken by another program: end that, or choose another port with ${flag}.`,
    EACCES: `Port ${port} may not be opened by this user: choose one above 1023 with ${flag}.`,
    EADDRNOTAVAIL: `${host} is no address of this machine: give one of its addresses with --host.`,
  };
  return new Error(sentences[code] ?? `Cannot listen on ${host} port ${port}: ${code}.`, { cause });
}

/** Where people and programs reach us: what the operator says, else where we listen. */
function publicUrlOf(house: House): string {
  return house.config.publicUrl ?? urlOf(house, house.port);
}

function urlOf({ config }: House, port: number): string {
  const isAny = config.host === undefined || config.host === '0.0.0.0' || config.host === '::';
  const host = isAny ? 'localhost' : config.host?.includes(':') ? `[${config.host}]` : config.host;
  return `${config.tls === 'off' ? 'http' : 'https'}://${host}:${port}`;
}

process.exit(await main());
