// Single sign-on: a tenant's identity providers, and who somebody is here whom one of them vouches for.
// The owner of a tenant chooses its providers and is not trusted about people elsewhere: accounts that they make are
// managed (nobody elsewhere), and every session that they open is good in this tenant alone.
import { createHmac, hkdfSync, randomUUID } from 'node:crypto';
import type { InstallationKey, SecretReader } from '../keys/installation-keys.ts';
import { sqlState, type Database, type Sql } from '../storage/database.ts';
import {
  actAsAccount,
  countMembers,
  findLogin,
  findMember,
  insertAccount,
  insertMembership,
  lockMembers,
  roleOf,
  updateRole,
  type MembershipRow,
} from '../storage/postgres/accounts.ts';
import {
  deleteOidcProvider,
  findOidcIdentity,
  findOidcProvider,
  isOidcProviderOn,
  insertOidcIdentity,
  insertOidcProvider,
  listListedOidcProviders,
  listOidcProviders,
  touchOidcIdentity,
  updateOidcProvider,
  type OidcProviderChange,
  type OidcProviderRow,
} from '../storage/postgres/oidc-providers.ts';
import { deleteOtherSessions, deleteSessionsOfProvider, lockSessionsOf } from '../storage/postgres/sessions.ts';
import { audit } from './audit.ts';
import { OidcError, type OidcClient, type OidcLook, type OidcSubject } from './oidc-client.ts';
import { MOST_MEMBERS } from './members.ts';
import { createPending } from './pending.ts';
import { normalisedEmail, type LoggedIn, type People } from './people.ts';
import { ROLES, type Principal, type Role } from './principal.ts';
import { Refusal } from './refusal.ts';

export type { OidcProviderRow };

export const MOST_PROVIDERS = 20;
/** How long somebody may take at the provider. */
export const LOGIN_TIME_MS = 10 * 60_000;
const UNIQUE_VIOLATION = '23505';
const KEY_BYTES = 32;

/** Why a login by a provider failed, as the login page may know it. */
export type OidcFailure =
  'unknown-provider' | 'expired' | 'provider' | 'no-role' | 'removed' | 'no-email' | 'address-taken' | 'full';

export class OidcRefused extends Error {
  readonly reason: OidcFailure;
  constructor(reason: OidcFailure, options?: ErrorOptions) {
    super(reason, options);
    this.reason = reason;
  }
}

export type ProviderRole = Exclude<Role, 'owner'>;
/** Nobody becomes an owner by a group: who may erase a tenant is decided in it. */
export const PROVIDER_ROLES = ROLES.filter((role): role is ProviderRole => role !== 'owner');

export interface OidcSettings {
  name: string;
  issuer: string;
  clientId: string;
  clientSecret: string | null;
  groupsClaim: string;
  /** The first that holds decides. */
  roleByGroup: Array<{ group: string; role: ProviderRole }>;
  /** Of people in none of the groups; null: they are not let in. */
  defaultRole: ProviderRole | null;
  isListed: boolean;
}

export interface Oidc {
  listed(): Promise<Array<{ providerId: string; name: string }>>;
  list(tenantId: string): Promise<OidcProviderRow[]>;
  /** Whether a provider could be used, before it is added. */
  look(issuer: string): Promise<OidcLook>;
  /** @throws Refusal CONFLICT when there are too many, VALIDATION_FAILED */
  create(by: Principal, requestId: string, settings: OidcSettings): Promise<{ providerId: string }>;
  /** Disabling ends the sessions that it opened. @throws Refusal NOT_FOUND */
  change(by: Principal, requestId: string, providerId: string, change: OidcProviderChange): Promise<void>;
  /** Its sessions end with it. @throws Refusal NOT_FOUND */
  remove(by: Principal, requestId: string, providerId: string): Promise<void>;
  /** Lets somebody whom it brought, and who was removed, in again. @throws Refusal NOT_FOUND */
  readmit(by: Principal, requestId: string, providerId: string, accountId: string): Promise<void>;
  /** @returns where the browser goes, and what it keeps sealed until it comes back. @throws OidcRefused */
  begin(providerId: string, returnTo: string): Promise<{ url: string; sealed: string }>;
  /** @param search the query that the browser came back with. @throws OidcRefused */
  finish(
    providerId: string,
    search: string,
    sealed: string | undefined,
    how: { requestId: string; device: string | null },
  ): Promise<LoggedIn & { returnTo: string }>;
}

export interface OidcOptions {
  database: Database;
  client: OidcClient;
  people: Pick<People, 'enter'>;
  /** Keys of subjects and of what the browser keeps are derived from these. */
  secrets: SecretReader;
  publicUrl: string;
  nowMs: () => number;
}

interface Kept {
  state: string;
  nonce: string;
  verifier: string;
  returnTo: string;
}

export function createOidc(options: OidcOptions): Oidc {
  const { database, client, people, secrets, publicUrl, nowMs } = options;

  const pending = createPending<Kept>({ secrets, use: 'oidc', lifeMs: LOGIN_TIME_MS, nowMs });

  /** Under the pepper in use first, then under those before it. */
  async function indexesOf(providerId: string, sub: string): Promise<readonly string[]> {
    const peppers = await secrets.candidates('api-key-pepper');
    return peppers.map((pepper) =>
      createHmac('sha256', derived(pepper, 'subject')).update(`${providerId}\n${sub}`).digest('base64url'),
    );
  }

  async function open(providerId: string): Promise<OidcProviderRow> {
    const provider = await database.inLookup(providerId, (sql) => findOidcProvider(sql, providerId));
    if (provider === undefined || provider.disabledAt !== null) throw new OidcRefused('unknown-provider');
    return provider;
  }

  async function keptOf(providerId: string, sealed: string | undefined): Promise<Kept> {
    const kept = await pending.open(providerId, sealed);
    if (kept === undefined) throw new OidcRefused('expired');
    return kept;
  }

  /** The account that stands for a subject, made or tied at its first login; a reason where there is none. */
  async function accountIn(
    sql: Sql,
    provider: OidcProviderRow,
    subject: OidcSubject,
    requestId: string,
  ): Promise<{ accountId: string } | OidcFailure> {
    const { tenantId, providerId } = provider;
    const subjectIndexes = await indexesOf(providerId, subject.sub);
    const identity = { tenantId, providerId, subjectIndexes, at: new Date(nowMs()) };
    const role = roleFor(provider, subject.groups);
    // two first logins at once make one account
    await lockMembers(sql, tenantId);
    const known = await findOidcIdentity(sql, identity);
    if (known !== undefined) {
      const member = await findMember(sql, tenantId, { accountId: known });
      if (member === undefined) return 'removed';
      await touchOidcIdentity(sql, identity);
      return governed(sql, provider, member, role, requestId);
    }
    const email = subject.email === undefined ? undefined : normalisedEmail(subject.email);
    const sameAddress =
      email !== undefined && subject.isEmailVerified ? await findMember(sql, tenantId, { email }) : undefined;
    if (sameAddress !== undefined) {
      const { accountId } = sameAddress;
      await insertOidcIdentity(sql, { ...identity, accountId });
      await note(sql, provider, requestId, 'oidc.tie', accountId);
      return governed(sql, provider, sameAddress, role, requestId);
    }
    if (role === undefined) return 'no-role';
    if ((await countMembers(sql, tenantId)) >= MOST_MEMBERS) return 'full';
    if (email === undefined || email.length < 3 || email.length > 254) return 'no-email';
    const accountId = randomUUID();
    const name = (subject.name ?? email).slice(0, 200);
    await actAsAccount(sql, accountId);
    await insertAccount(sql, {
      accountId,
      email,
      name,
      mustChangePassword: false,
      argon2id: null,
      managedBy: tenantId,
    });
    await insertMembership(sql, { tenantId, accountId, role });
    await insertOidcIdentity(sql, { ...identity, accountId });
    await note(sql, provider, requestId, 'oidc.account', accountId, { role });
    return { accountId };
  }

  async function accountOf(provider: OidcProviderRow, subject: OidcSubject, requestId: string): Promise<string> {
    const { tenantId } = provider;
    let found: { accountId: string } | OidcFailure;
    try {
      found = await database.inTenant(tenantId, (sql) => accountIn(sql, provider, subject, requestId));
    } catch (error) {
      // an address that was not verified and that another managed account of the tenant has
      if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
      found = 'address-taken';
    }
    if (typeof found !== 'string') return found.accountId;
    throw new OidcRefused(found);
  }

  async function denied(provider: OidcProviderRow, requestId: string, reason: OidcFailure): Promise<void> {
    const { tenantId, providerId } = provider;
    const object = `oidc-provider:${providerId}`;
    const line = { tenantId, actor: object, action: 'login', object, outcome: 'denied', requestId } as const;
    await database.inTenant(tenantId, (sql) => audit(sql, { ...line, detail: { reason } }));
  }

  const writing = (
    by: Principal,
    requestId: string,
    providerId: string,
    action: string,
    work: (sql: Sql) => Promise<unknown>,
  ): Promise<void> => {
    const { tenantId, subject: actor } = by;
    return database.inTenant(tenantId, async (sql) => {
      if ((await work(sql)) === false) throw new Refusal('NOT_FOUND', 'There is no such identity provider.');
      const object = `oidc-provider:${providerId}`;
      await audit(sql, { tenantId, actor, action, object, outcome: 'done', requestId });
    });
  };

  return {
    listed: () => database.inLookup('oidc_providers listed', listListedOidcProviders),
    list: (tenantId) => database.inTenant(tenantId, (sql) => listOidcProviders(sql, tenantId)),

    look: (issuer) => client.look(issuer),

    async create(by, requestId, settings) {
      const { tenantId } = by;
      const providerId = randomUUID();
      await writing(by, requestId, providerId, 'oidc-provider.create', async (sql) => {
        await lockMembers(sql, tenantId);
        if ((await listOidcProviders(sql, tenantId)).length >= MOST_PROVIDERS)
          throw new Refusal('CONFLICT', `A tenant has ${MOST_PROVIDERS} identity providers at most.`);
        const made = { tenantId, providerId, createdAt: new Date(nowMs()), createdBy: by.subject };
        await insertOidcProvider(sql, { ...settings, ...made });
      });
      return { providerId };
    },

    change: (by, requestId, providerId, change) =>
      writing(by, requestId, providerId, 'oidc-provider.change', async (sql) => {
        const isThere = await updateOidcProvider(
          sql,
          { tenantId: by.tenantId, providerId, at: new Date(nowMs()) },
          change,
        );
        if (change.isDisabled === true) await deleteSessionsOfProvider(sql, by.tenantId, providerId);
        return isThere;
      }),

    remove: (by, requestId, providerId) =>
      writing(by, requestId, providerId, 'oidc-provider.remove', (sql) =>
        deleteOidcProvider(sql, by.tenantId, providerId),
      ),

    readmit: (by, requestId, providerId, accountId) =>
      writing(by, requestId, providerId, 'oidc-provider.readmit', async (sql) => {
        const { tenantId } = by;
        await lockMembers(sql, tenantId);
        const isItsOwn = await findOidcIdentity(sql, { tenantId, providerId, accountId });
        if (isItsOwn === undefined) return false;
        if ((await roleOf(sql, tenantId, accountId)) !== undefined) return true;
        // what the groups say holds from the next login on
        await insertMembership(sql, { tenantId, accountId, role: 'viewer' });
        return true;
      }),

    async begin(providerId, returnTo) {
      const provider = await open(providerId);
      try {
        const { url, ...asked } = await client.begin(provider, redirectUri(publicUrl, providerId));
        return { url, sealed: await pending.seal(providerId, { ...asked, returnTo: localPath(returnTo) }) };
      } catch (cause) {
        if (!(cause instanceof OidcError)) throw cause;
        throw new OidcRefused('provider', { cause });
      }
    },

    async finish(providerId, search, sealed, { requestId, device }) {
      const provider = await open(providerId);
      try {
        const kept = await keptOf(providerId, sealed);
        const answer = new URL(redirectUri(publicUrl, providerId) + search);
        const subject = await client.finish(provider, answer, kept).catch((cause: unknown) => {
          if (!(cause instanceof OidcError)) throw cause;
          throw new OidcRefused('provider', { cause });
        });
        const accountId = await accountOf(provider, subject, requestId);
        const account = await database.inAccount(accountId, (sql) => findLogin(sql, accountId));
        if (account === undefined) throw new OidcRefused('removed');
        const { tenantId } = provider;
        const entry = { by: 'provider' as const, providerId, requestId, device };
        // switched off since it was asked: that ended its sessions, and this would be one more
        const isStillRight = (sql: Sql): Promise<boolean> => isOidcProviderOn(sql, tenantId, providerId);
        const entered = await people
          .enter({ ...account, tenantId }, { ...entry, isStillRight })
          .catch((cause: unknown) => {
            if (!(cause instanceof Refusal)) throw cause;
            throw new OidcRefused('removed', { cause });
          });
        return { ...entered, returnTo: kept.returnTo };
      } catch (error) {
        if (error instanceof OidcRefused) await denied(provider, requestId, error.reason);
        throw error;
      }
    },
  };
}

/** Every provider has its own: an answer that another one sent (mix-up) comes back elsewhere (RFC 9700, section 4.4.2). */
export const redirectUri = (publicUrl: string, providerId: string): string =>
  `${publicUrl}/auth/oidc/${providerId}/callback`;

function roleFor(provider: OidcProviderRow, groups: readonly string[]): ProviderRole | undefined {
  const held = new Set(groups);
  const found = provider.roleByGroup.find(({ group }) => held.has(group))?.role ?? provider.defaultRole;
  return PROVIDER_ROLES.find((role) => role === found);
}

/** A path of ours, or the start page: never another host, whatever a browser makes of slashes and backslashes. */
function localPath(text: string): string {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,500}$/.test(text) ? text : '/';
}

function note(
  sql: Sql,
  { tenantId, providerId }: OidcProviderRow,
  requestId: string,
  action: string,
  accountId: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  const actor = `oidc-provider:${providerId}`;
  return audit(sql, { tenantId, actor, action, object: `account:${accountId}`, outcome: 'done', requestId, detail });
}

const derived = (key: InstallationKey, use: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key.secret, Buffer.alloc(0), `lumatrace|oidc|${use}`, KEY_BYTES));

/**
 * What groups say holds anew at each login of a managed account: another role, or none and out. A member who was there without
 * the provider keeps the role that they were given here.
 */
async function governed(
  sql: Sql,
  provider: OidcProviderRow,
  { accountId, isManaged, role: before }: MembershipRow,
  role: ProviderRole | undefined,
  requestId: string,
): Promise<{ accountId: string } | OidcFailure> {
  const { tenantId } = provider;
  if (!isManaged) return { accountId };
  if (role === undefined) {
    await lockSessionsOf(sql, accountId);
    await deleteOtherSessions(sql, { tenantId, accountId, kept: undefined });
    return 'no-role';
  }
  if (role !== before) {
    await updateRole(sql, { tenantId, accountId, role });
    await note(sql, provider, requestId, 'member.role', accountId, { from: before, to: role });
  }
  return { accountId };
}
