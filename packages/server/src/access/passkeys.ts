// Passkeys (WebAuthn level 3, discoverable credentials): added after the password was confirmed, and a way in beside it.
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  type RegistrationResponseJSON,
  type VerifiedAuthenticationResponse,
} from '@simplewebauthn/server';
import type { SecretReader } from '../keys/installation-keys.ts';
import type { Database, Sql } from '../storage/database.ts';
import { actAsAccount, findLogin } from '../storage/postgres/accounts.ts';
import {
  deletePasskey,
  findPasskey,
  insertPasskey,
  listPasskeys,
  useChallenge,
  usePasskey,
  type PasskeyRow,
} from '../storage/postgres/passkeys.ts';
import { audit } from './audit.ts';
import type { Limits, LoginAttempt } from './limits.ts';
import { failedLoginAnswer } from './passwords.ts';
import { createPending } from './pending.ts';
import { ownPerson, type LoggedIn, type People } from './people.ts';
import type { Principal } from './principal.ts';
import { Refusal } from './refusal.ts';

/** From the question to the answer of an authenticator. */
export const CEREMONY_MS = 5 * 60_000;
/** Of one account. */
export const MOST_PASSKEYS = 20;
/** COSE: Ed25519, ES256, RS256; the first is offered first. */
const ALGORITHMS = [-8, -7, -257];
const RP_NAME = 'LumaTrace';
const ADDING = 'add';
const ENTERING = 'login';

export type { AuthenticationResponseJSON, RegistrationResponseJSON };

export interface PasskeyShown {
  credentialId: string;
  name: string;
  createdAt: Date;
  lastUsedAt: Date | null;
  /** Synchronised by its maker, as its authenticator says. */
  isBackedUp: boolean;
}

/** What the browser asks the authenticator for, and what it keeps meanwhile. */
export interface Ceremony<Options> {
  options: Options;
  sealed: string;
}

export interface Passkeys {
  list(principal: Principal): Promise<PasskeyShown[]>;
  /**
   * @param password the current one: a stolen session must not make itself a way back in
   * @throws Refusal FORBIDDEN for single sign-on, VALIDATION_FAILED, RATE_LIMIT_EXCEEDED; CONFLICT where no passkey can be made
   */
  offer(
    principal: Principal,
    password: string,
    source: string,
  ): Promise<Ceremony<PublicKeyCredentialCreationOptionsJSON>>;
  /** @throws Refusal VALIDATION_FAILED for an answer that does not hold, CONFLICT for one that is there or one too many */
  add(
    principal: Principal,
    requestId: string,
    made: { name: string; response: RegistrationResponseJSON },
    sealed: string | undefined,
  ): Promise<PasskeyShown>;
  /** @throws Refusal NOT_FOUND */
  remove(principal: Principal, requestId: string, credentialId: string): Promise<void>;
  /** Of everybody: the authenticator knows whose it is. @throws Refusal CONFLICT */
  ask(): Promise<Ceremony<PublicKeyCredentialRequestOptionsJSON>>;
  /** One answer for everything that does not hold. @throws Refusal AUTH_INVALID, RATE_LIMIT_EXCEEDED */
  login(
    response: AuthenticationResponseJSON,
    sealed: string | undefined,
    from: { source: string; requestId: string; device: string | null },
  ): Promise<LoggedIn>;
}

export interface PasskeysOptions {
  database: Database;
  people: People;
  limits: Limits;
  secrets: SecretReader;
  publicUrl: string;
  nowMs: () => number;
}

interface Kept {
  challenge: string;
  /** Whose passkey is added, in which session; absent for a login. */
  accountId?: string | undefined;
  sessionId?: string | undefined;
}

export function createPasskeys({ database, people, limits, secrets, publicUrl, nowMs }: PasskeysOptions): Passkeys {
  const { origin, hostname } = new URL(publicUrl);
  const pending = createPending<Kept>({ secrets, use: 'passkey', lifeMs: CEREMONY_MS, nowMs });
  const rpId = (): string => {
    // WebAuthn level 3, section 5.1.3: an RP ID is a domain
    if (isIP(hostname.replace(/^\[|\]$/g, '')) === 0) return hostname;
    throw new Refusal('CONFLICT', 'Passkeys need an address with a name, and this one has an IP address.', {
      action: 'Open it by its name, and set LUMATRACE_PUBLIC_URL to that (localhost will do on this machine).',
    });
  };

  const asserted = async (
    response: AuthenticationResponseJSON,
    { credentialId, publicKey, counter }: PasskeyRow,
    challenge: string,
  ): Promise<VerifiedAuthenticationResponse['authenticationInfo'] | undefined> => {
    try {
      const { verified, authenticationInfo } = await verifyAuthenticationResponse({
        response,
        expectedChallenge: challenge,
        expectedOrigin: origin,
        expectedRPID: hostname,
        credential: { id: credentialId, publicKey: new Uint8Array(publicKey), counter },
        requireUserVerification: true,
      });
      return verified ? authenticationInfo : undefined;
    } catch {
      // the library throws for each thing that does not hold, and none of them is to be told
      return undefined;
    }
  };

  return {
    async list(principal) {
      const { accountId } = ownPerson(principal);
      return (await database.inAccount(accountId, (sql) => listPasskeys(sql, accountId))).map(shown);
    },

    async offer(principal, password, source) {
      const rpID = rpId();
      const { accountId, email, name } = await people.confirm(principal, password, source);
      const existing = await database.inAccount(accountId, (sql) => listPasskeys(sql, accountId));
      if (existing.length >= MOST_PASSKEYS) throw tooMany();
      const options = await generateRegistrationOptions({
        rpName: RP_NAME,
        rpID,
        userID: userHandleOf(accountId),
        userName: email,
        userDisplayName: name,
        timeout: CEREMONY_MS,
        attestationType: 'none',
        excludeCredentials: existing.map(({ credentialId }) => ({ id: credentialId })),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        supportedAlgorithmIDs: ALGORITHMS,
      });
      const { challenge } = options;
      return { options, sealed: await pending.seal(ADDING, { challenge, accountId, sessionId: principal.sessionId }) };
    },

    async add(principal, requestId, { name, response }, sealed) {
      const { tenantId, accountId } = ownPerson(principal);
      const kept = await pending.open(ADDING, sealed);
      const isOwn = kept?.accountId === accountId && kept.sessionId === principal.sessionId;
      const registration =
        kept !== undefined && isOwn ? await registered(response, kept.challenge, origin, rpId()) : undefined;
      if (registration === undefined)
        throw new Refusal('VALIDATION_FAILED', 'The passkey was not made for this page, or it took too long.', {
          action: 'Begin anew.',
        });
      const { credential, credentialBackedUp } = registration;
      const row = {
        accountId,
        credentialId: credential.id,
        publicKey: Buffer.from(credential.publicKey),
        counter: credential.counter,
        transports: response.response.transports ?? [],
        isBackedUp: credentialBackedUp,
        name,
        createdAt: new Date(nowMs()),
      };
      await database.inTenant(tenantId, async (sql) => {
        await actAsAccount(sql, accountId);
        if ((await listPasskeys(sql, accountId)).length >= MOST_PASSKEYS) throw tooMany();
        if (!(await insertPasskey(sql, row))) throw new Refusal('CONFLICT', 'This passkey is there already.');
        await note(sql, principal, requestId, 'passkey.add', { name });
      });
      return shown({ ...row, lastUsedAt: null });
    },

    remove(principal, requestId, credentialId) {
      const { tenantId, accountId } = ownPerson(principal);
      return database.inTenant(tenantId, async (sql) => {
        await actAsAccount(sql, accountId);
        const name = await deletePasskey(sql, accountId, credentialId);
        if (name === undefined) throw new Refusal('NOT_FOUND', 'There is no such passkey of yours.');
        await note(sql, principal, requestId, 'passkey.remove', { name });
      });
    },

    async ask() {
      const options = await generateAuthenticationOptions({
        rpID: rpId(),
        timeout: CEREMONY_MS,
        allowCredentials: [],
        userVerification: 'required',
      });
      return { options, sealed: await pending.seal(ENTERING, { challenge: options.challenge }) };
    },

    async login(response, sealed, { source, requestId, device }) {
      const attempt: LoginAttempt = { name: `passkey:${response.id}`, source };
      await limits.admitLogin(attempt);
      const answerAt = failedLoginAnswer();
      const kept = await pending.open(ENTERING, sealed);
      const accountId = accountIdOf(response.response.userHandle);
      const known =
        accountId === undefined
          ? undefined
          : await database.inAccount(accountId, async (sql) => ({
              account: await findLogin(sql, accountId),
              passkey: await findPasskey(sql, accountId, response.id),
            }));
      const { account, passkey } = known ?? {};
      const info =
        passkey === undefined || kept === undefined ? undefined : await asserted(response, passkey, kept.challenge);
      if (accountId === undefined || account === undefined || passkey === undefined || !info || kept === undefined) {
        const tenantId = account?.tenantId ?? null;
        const subject = `account:${accountId}`;
        const line = { actor: subject, action: 'login', object: subject, outcome: 'denied', requestId } as const;
        if (tenantId !== null && passkey !== undefined)
          await database.inTenant(tenantId, (sql) => audit(sql, { ...line, tenantId, detail: { by: 'passkey' } }));
        await answerAt;
        throw wrong();
      }
      const { credentialId, counter: seenCounter } = passkey;
      const at = new Date(nowMs());
      const used = {
        accountId,
        credentialId,
        seenCounter,
        counter: info.newCounter,
        isBackedUp: info.credentialBackedUp,
        at,
      };
      const challengeHash = createHash('sha256').update(kept.challenge).digest('hex');
      const endsAt = new Date(nowMs() + CEREMONY_MS);
      const entered = await people
        .enter(account, {
          by: 'passkey',
          requestId,
          device,
          // the same answer twice, also at once, opens one session: many authenticators count nothing
          isStillRight: async (sql) =>
            (await useChallenge(sql, { accountId, challengeHash, endsAt, now: at })) && (await usePasskey(sql, used)),
        })
        .catch((error: unknown) => {
          throw error instanceof Refusal && error.code === 'AUTH_INVALID' ? wrong() : error;
        });
      await limits.forgiveLogin(attempt);
      return entered;
    },
  };
}

async function registered(response: RegistrationResponseJSON, challenge: string, origin: string, rpId: string) {
  try {
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: origin,
      expectedRPID: rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    return verified ? registrationInfo : undefined;
  } catch {
    return undefined;
  }
}

/** What an authenticator gives back at a login: the 16 bytes of the account's id, which tell nothing else. */
function userHandleOf(accountId: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(accountId.replaceAll('-', ''), 'hex'));
}

function accountIdOf(userHandle: string | undefined): string | undefined {
  const hex = Buffer.from(userHandle ?? '', 'base64url').toString('hex');
  return hex.length === 32 ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : undefined;
}

function tooMany(): Refusal {
  return new Refusal('CONFLICT', `You have ${MOST_PASSKEYS} passkeys: remove one first.`);
}

function wrong(): Refusal {
  return new Refusal('AUTH_INVALID', 'The passkey is not known here, or its answer does not hold.', {
    action: 'Try again, or log in with your password.',
  });
}

function note(
  sql: Sql,
  { tenantId, subject }: Principal,
  requestId: string,
  action: string,
  detail: { name: string },
): Promise<void> {
  return audit(sql, { tenantId, actor: subject, action, object: subject, outcome: 'done', requestId, detail });
}

function shown({ credentialId, name, createdAt, lastUsedAt, isBackedUp }: PasskeyRow): PasskeyShown {
  return { credentialId, name, createdAt, lastUsedAt, isBackedUp };
}
