// The frame and the access room over a real PostgreSQL, for tests that speak Request and Response.
import { createPrivateKey, generateKeyPair, randomBytes, sign, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { createAccess, type Access, type AccessOptions } from '../access/access.ts';
import { firstRunPath, type FirstRun } from '../access/bootstrap.ts';
import type { TokenSigner } from '../access/signing-keys.ts';
import { auditRoutes } from '../http/audit.ts';
import { authRoutes } from '../http/auth.ts';
import { loginSessionRoutes } from '../http/login-sessions.ts';
import { oauthRoutes } from '../http/oauth.ts';
import { keyRoutes } from '../http/keys.ts';
import { serviceAccountRoutes } from '../http/service-accounts.ts';
import { passkeyRoutes } from '../http/passkeys.ts';
import { memberRoutes } from '../http/members.ts';
import { oidcRoutes } from '../http/oidc.ts';
import { createMetrics } from '../http/metrics.ts';
import { openApiRoute } from '../http/openapi.ts';
import { operationsRoutes } from '../http/operations.ts';
import type { Route } from '../http/route.ts';
import { createHttp, type Http, type HttpOptions } from '../http/server.ts';
import { createInstallationKeys, type InstallationKeys } from '../keys/installation-keys.ts';
import { createEgress } from '../egress/egress.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { testDatabase, type TestDatabase } from './harness.ts';

const generateRsa = promisify(generateKeyPair);

export const PUBLIC_URL = 'http://localhost:3000';

export interface House {
  db: TestDatabase;
  access: Access;
  installationKeys: InstallationKeys;
  http: Http;
  routes: readonly Route[];
  firstRun: FirstRun;
  dataDir: string;
  /** What was logged so far, one JSON object a line. */
  log(): string;
  /** Why identity providers were not believed, in order. */
  failures: readonly unknown[];
  /** The clock of the access room, in ms; tests move it. */
  clock: { nowMs: number };
  /** Moves what keys of the installation are read again by. */
  keysClock: { aheadMs: number };
  /** A request by path, with a JSON body and headers. */
  ask(method: string, path: string, options?: { body?: unknown; headers?: Record<string, string> }): Promise<Response>;
  /** Headers with a session of the first admin, the password changed already. */
  adminSession(): Promise<Record<string, string>>;
  close(): Promise<void>;
}

export interface HouseOptions {
  routes?: (access: Access) => readonly Route[];
  limits?: AccessOptions['limits'];
  http?: Partial<HttpOptions>;
  signer?: TokenSigner;
  retentionDays?: number;
  /** `host:port` of identity providers on this machine. */
  oidcAllow?: readonly string[];
}

/** A new database, the first start done, and every route of access and operations behind the frame. */
export async function openHouse(options: HouseOptions = {}): Promise<House> {
  const db = await testDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'lumatrace-house-'));
  const clock = { nowMs: Date.now() };
  const kek = kekFromBytes(randomBytes(32));
  const keysClock = { aheadMs: 0 };
  const installationKeys = createInstallationKeys({
    database: db.database,
    kek,
    nowMs: () => performance.now() + keysClock.aheadMs,
  });
  const access = await createAccess({
    database: db.database,
    installationKeys,
    signer: options.signer ?? signerInProcess(),
    egress: createEgress({ allow: options.oidcAllow ?? [] }),
    publicUrl: PUBLIC_URL,
    otlpUrl: 'http://localhost:4318',
    dataDir,
    nowMs: () => clock.nowMs,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.retentionDays === undefined ? {} : { retentionDays: options.retentionDays }),
  });
  await access.firstRun.bootstrap();
  const firstRun = JSON.parse(await readFile(firstRunPath(dataDir), 'utf8')) as FirstRun;
  const lines: string[] = [];
  const failures: unknown[] = [];
  const metrics = createMetrics();
  const declared = [
    ...loginSessionRoutes(access),
    ...oauthRoutes({ access, issuer: PUBLIC_URL }),
    ...authRoutes({ access, isTls: false }),
    ...keyRoutes({ access }),
    ...serviceAccountRoutes({ access }),
    ...oidcRoutes({ access, publicUrl: PUBLIC_URL, onFailure: (why) => void failures.push(why.cause) }),
    ...memberRoutes({ access, publicUrl: PUBLIC_URL }),
    ...passkeyRoutes({ access, publicUrl: PUBLIC_URL }),
    ...auditRoutes({ access }),
    ...operationsRoutes({
      access,
      metrics,
      checks: { database: () => db.database.ping() },
      otlpUrl: 'http://localhost:4318',
      hasSpans: () => Promise.resolve(false),
    }),
    ...(options.routes?.(access) ?? []),
  ];
  const routes = [...declared, openApiRoute(declared, { version: '0.1.0', url: PUBLIC_URL })];
  const http = await createHttp({
    routes,
    access,
    metrics,
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
    publicUrl: PUBLIC_URL,
    checkAnswers: true,
    ...options.http,
  });

  const ask: House['ask'] = (method, path, { body, headers } = {}) =>
    http.fetch(
      new Request(`${PUBLIC_URL}${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
    );
  let password = firstRun.admin.password;
  return {
    db,
    access,
    installationKeys,
    http,
    routes,
    firstRun,
    dataDir,
    failures,
    clock,
    keysClock,
    ask,
    log: () => lines.join(''),
    async adminSession() {
      const login = await ask('POST', '/auth/login', { body: { email: firstRun.admin.email, password } });
      if (password !== firstRun.admin.password) return { cookie: cookieOf(login) };
      password = 'correct horse battery staple';
      const change = { currentPassword: firstRun.admin.password, newPassword: password };
      const changed = await ask('POST', '/auth/change-password', {
        body: change,
        headers: { cookie: cookieOf(login) },
      });
      return { cookie: cookieOf(changed) };
    },
    async close() {
      await http.stop(0);
      await db.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** `name=value` of the cookie that an answer sets. */
export function cookieOf(response: Response): string {
  const [pair] = (response.headers.getSetCookie()[0] ?? '').split(';');
  if (pair === undefined || pair === '') throw new Error(`Expected a cookie in an answer of status ${response.status}`);
  return pair;
}

/** Signs with keys of this process, 2048 bits for speed; the signer process has its own tests. */
export function signerInProcess(): TokenSigner & { privateKey(kid: string): KeyObject } {
  const keys = new Map<string, KeyObject>();
  const privateKey = (kid: string): KeyObject => {
    const key = keys.get(kid);
    if (key === undefined) throw new Error(`The key ${kid} was not loaded.`);
    return key;
  };
  return {
    privateKey,
    async generate() {
      const pair = await generateRsa('rsa', { modulusLength: 2048 });
      return {
        publicJwk: pair.publicKey.export({ format: 'jwk' }),
        wrappedPrivate: pair.privateKey.export({ format: 'der', type: 'pkcs8' }),
      };
    },
    load(kid, wrapped) {
      keys.set(kid, createPrivateKey({ key: Buffer.from(wrapped), format: 'der', type: 'pkcs8' }));
      return Promise.resolve();
    },
    sign: (kid, tbs) => Promise.resolve(sign('sha256', tbs, privateKey(kid))),
  };
}
