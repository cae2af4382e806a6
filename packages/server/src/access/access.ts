// Puts the room together: who may ask, for what, how often. `main.ts` calls this once.
import { join } from 'node:path';
import type { Egress } from '../egress/egress.ts';
import type { InstallationKeys } from '../keys/installation-keys.ts';
import type { Database } from '../storage/database.ts';
import { deleteEndedWindows } from '../storage/postgres/rate-limits.ts';
import { createApiKeys, type ApiKeys } from './api-keys.ts';
import { audit, keepAuditChain } from './audit.ts';
import { createAuditLog, type AuditLog } from './audit-log.ts';
import { bootstrap, deleteFirstRunFile, firstRunFile, type Bootstrap } from './bootstrap.ts';
import { createCredentials, sessionCookieName, type Credentials } from './credentials.ts';
import { createInvitations, type Invitations } from './invitations.ts';
import { createLimits, DEFAULT_LIMITS, type Limits, type LimitSettings } from './limits.ts';
import { createMachines, type Machines } from './machines.ts';
import { createMachineTokens, type MachineTokens } from './machine-tokens.ts';
import { createMembers, type Members } from './members.ts';
import { createOwnTenants, type OwnTenants } from './own-tenants.ts';
import { createOidc, type Oidc } from './oidc.ts';
import { createOidcClient } from './oidc-client.ts';
import { createPasswords } from './passwords.ts';
import { createPasskeys, type Passkeys } from './passkeys.ts';
import { createPeople, type People } from './people.ts';
import type { Principal } from './principal.ts';
import { createSessions, type Sessions } from './sessions.ts';
import { createSigningKeys, type SigningKeys, type TokenSigner } from './signing-keys.ts';
import { createTenants, type Tenants } from './tenants.ts';

export interface AccessOptions {
  database: Database;
  installationKeys: InstallationKeys;
  signer: TokenSigner;
  /** Identity providers are asked through it. */
  egress: Egress;
  /** The address people use, such as `http://localhost:3000`: the issuer of tokens. */
  publicUrl: string;
  otlpUrl: string;
  dataDir: string;
  limits?: Partial<LimitSettings>;
  tracesPerDay?: number;
  /** Days that telemetry of a new tenant is kept. */
  retentionDays?: number;
  nowMs?: () => number;
  /** Told of failures that refuse nobody. */
  onError?: (error: unknown) => void;
}

export interface Access {
  credentials: Credentials;
  sessions: Sessions;
  limits: Limits;
  people: People;
  members: Members;
  invitations: Invitations;
  oidc: Oidc;
  passkeys: Passkeys;
  ownTenants: OwnTenants;
  machines: Machines;
  apiKeys: ApiKeys;
  tokens: MachineTokens;
  signingKeys: SigningKeys;
  tenants: Tenants;
  auditLog: AuditLog;
  firstRun: {
    /** Makes tenant, admin, key and service account once; run at every start. */
    bootstrap(): Promise<Bootstrap>;
    file(): Promise<string | undefined>;
    /** @returns whether there was a file. */
    deleteFile(by: Principal, requestId: string): Promise<boolean>;
  };
  /** Deletes counters whose window has ended; for a daily job. Dead sessions and revocations go when others are written. */
  forgetEnded(): Promise<number>;
  /** The audit line of a write that somebody who is known was refused. */
  auditDenial(principal: Principal, route: string, requestId: string): Promise<void>;
  /** The audit line of something that was read, where reading itself is worth a line. */
  auditAction(principal: Principal, action: string, object: string, requestId: string): Promise<void>;
}

const DEFAULT_TRACES_PER_DAY = 50_000;

export async function createAccess(options: AccessOptions): Promise<Access> {
  const { database, installationKeys, signer, egress, publicUrl, otlpUrl, dataDir } = options;
  const nowMs = options.nowMs ?? Date.now;
  const onError = options.onError ?? (() => {});
  const settings: LimitSettings = { ...DEFAULT_LIMITS, ...options.limits };
  const [chain, checkpoint] = await Promise.all([
    installationKeys.secret('audit-chain'),
    installationKeys.secret('audit-checkpoint'),
    // made before the first transaction needs them
    installationKeys.secret('api-key-pepper'),
    installationKeys.secret('session'),
  ]);
  keepAuditChain(database, chain.secret);
  const auditLog = createAuditLog({
    database,
    secret: chain.secret,
    checkpointSeed: checkpoint.secret,
    directory: join(dataDir, 'audit-checkpoints'),
  });
  const passwords = createPasswords();
  const limits = createLimits({ database, settings, nowMs });
  const apiKeys = createApiKeys({ database, secrets: installationKeys, nowMs, onError });
  const sessions = createSessions({ database, secrets: installationKeys, nowMs });
  const people = createPeople({ database, sessions, passwords, limits, nowMs });
  const signingKeys = createSigningKeys({ database, signer, nowMs });
  const tokens = createMachineTokens({ database, signingKeys, issuer: publicUrl, audience: `${publicUrl}/api`, nowMs });
  return {
    sessions,
    credentials: createCredentials({
      apiKeys,
      tokens,
      sessions,
      cookieName: sessionCookieName(publicUrl.startsWith('https:')),
    }),
    limits,
    people,
    members: createMembers({ database, nowMs }),
    passkeys: createPasskeys({ database, people, limits, secrets: installationKeys, publicUrl, nowMs }),
    oidc: createOidc({
      database,
      client: createOidcClient({ egress, nowMs }),
      people,
      secrets: installationKeys,
      publicUrl,
      nowMs,
    }),
    invitations: createInvitations({ database, people, passwords, nowMs }),
    ownTenants: createOwnTenants({ database, sessions, retentionDays: options.retentionDays }),
    machines: createMachines({ database, tokens, passwords, limits, nowMs }),
    apiKeys,
    tokens,
    signingKeys,
    tenants: createTenants({
      database,
      defaults: {
        tracesPerDay: options.tracesPerDay ?? DEFAULT_TRACES_PER_DAY,
        requestsPerHour: settings.requestsPerHour,
      },
    }),
    auditLog,
    firstRun: {
      async bootstrap() {
        // lines of an earlier version, before anybody writes one of this
        await auditLog.adopt();
        const made = await bootstrap({
          database,
          apiKeys,
          passwords,
          dataDir,
          url: publicUrl,
          otlpUrl,
          retentionDays: options.retentionDays,
        });
        // Drawing the first token key takes a second or more: better at the first start than at the first login.
        if (made.isFirst) await signingKeys.current();
        return made;
      },
      file: () => firstRunFile(dataDir),
      deleteFile: (by, requestId) =>
        database.inTenant(by.tenantId, async (sql) => {
          await audit(sql, {
            tenantId: by.tenantId,
            actor: by.subject,
            action: 'first-run-file.delete',
            object: `tenant:${by.tenantId}`,
            outcome: 'done',
            requestId,
          });
          return deleteFirstRunFile(dataDir);
        }),
    },
    forgetEnded: () => database.inSystem((sql) => deleteEndedWindows(sql, nowMs())),
    auditAction: ({ tenantId, subject }, action, object, requestId) =>
      database.inTenant(tenantId, (sql) =>
        audit(sql, { tenantId, actor: subject, action, object, outcome: 'done', requestId }),
      ),
    auditDenial: ({ tenantId, subject }, route, requestId) =>
      database.inTenant(tenantId, (sql) =>
        audit(sql, { tenantId, actor: subject, action: 'denied', object: route, outcome: 'denied', requestId }),
      ),
  };
}
