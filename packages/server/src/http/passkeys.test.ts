// Passkeys against an authenticator of our own, which answers as a real one does or as it is told to.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { after, test } from 'node:test';
import { openHouse, PUBLIC_URL } from '../test/house.ts';

const house = await openHouse();
after(() => house.close());
const { ask, clock, db, firstRun } = house;
const { email, password: firstPassword } = firstRun.admin;
const PASSWORD = 'seven quiet herons at dusk';
type Headers = Record<string, string>;

const point = (text: string): Buffer => Buffer.from(text, 'base64url');

const head = (major: number, n: number): Buffer =>
  n < 24
    ? Buffer.from([(major << 5) | n])
    : n < 256
      ? Buffer.from([(major << 5) | 24, n])
      : Buffer.from([(major << 5) | 25, n >> 8, n & 255]);

/** CBOR (RFC 8949) of what authenticators write: small integers, bytes, texts, maps. */
function cbor(value: number | string | Uint8Array | Map<number | string, unknown>): Buffer {
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  const pairs = [...value].flatMap(([name, one]) => [cbor(name), cbor(one as number)]);
  return Buffer.concat([head(5, value.size), ...pairs]);
}

const sha256 = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();
const b64 = (data: string | Uint8Array): string => Buffer.from(data).toString('base64url');
const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const ATTESTED = 0x40;

/** What an answer says; everything may be changed to something that is not true. */
interface Told {
  origin: string;
  rpId: string;
  challenge: string;
  type: string;
  flags: number;
  userHandle: string | undefined;
}

class Authenticator {
  readonly id = randomBytes(32);
  readonly #private: KeyObject;
  readonly #cose: Buffer;
  readonly #hash: 'sha256' | null;
  /** null: counts nothing, as those that are synchronised do. */
  counter: number | null;
  userHandle = '';

  constructor(kind: 'Ed25519' | 'ES256', counter: number | null = null) {
    this.counter = counter;
    const { privateKey, publicKey } =
      kind === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#private = privateKey;
    this.#hash = kind === 'Ed25519' ? null : 'sha256';
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    this.#cose = cbor(
      kind === 'Ed25519'
        ? new Map<number, unknown>([
            [1, 1],
            [3, -8],
            [-1, 6],
            [-2, point(x)],
          ])
        : new Map<number, unknown>([
            [1, 2],
            [3, -7],
            [-1, 1],
            [-2, point(x)],
            [-3, point(y)],
          ]),
    );
  }

  #data({ rpId, flags }: Told, more: Uint8Array = Buffer.alloc(0)): Buffer {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(this.counter ?? 0);
    return Buffer.concat([sha256(rpId), Buffer.from([flags]), counter, more]);
  }

  create(options: { challenge: string; user: { id: string } }, lie: Partial<Told> = {}): object {
    const told = {
      ...truth(options.challenge),
      type: 'webauthn.create',
      flags: USER_PRESENT | USER_VERIFIED | ATTESTED,
      ...lie,
    };
    this.userHandle = options.user.id;
    const length = Buffer.from([0, this.id.length]);
    const authData = this.#data(told, Buffer.concat([Buffer.alloc(16), length, this.id, this.#cose]));
    const attestation = new Map<string, unknown>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', authData],
    ]);
    return this.#answer({
      clientDataJSON: b64(clientData(told)),
      attestationObject: b64(cbor(attestation)),
      transports: ['internal', 'hybrid'],
    });
  }

  get(options: { challenge: string }, lie: Partial<Told> = {}): object {
    const told = { ...truth(options.challenge), userHandle: this.userHandle, ...lie };
    if (this.counter !== null) this.counter++;
    const authenticatorData = this.#data(told);
    const client = clientData(told);
    const signature = sign(this.#hash, Buffer.concat([authenticatorData, sha256(client)]), this.#private);
    return this.#answer({
      clientDataJSON: b64(client),
      authenticatorData: b64(authenticatorData),
      signature: b64(signature),
      userHandle: told.userHandle,
    });
  }

  #answer(response: object): object {
    const id = b64(this.id);
    return {
      id,
      rawId: id,
      type: 'public-key',
      authenticatorAttachment: 'platform',
      clientExtensionResults: {},
      response,
    };
  }
}

const clientData = ({ type, challenge, origin }: Told): string =>
  JSON.stringify({ type, challenge, origin, crossOrigin: false });

function truth(challenge: string): Told {
  const { origin, hostname } = new URL(PUBLIC_URL);
  return {
    origin,
    rpId: hostname,
    challenge,
    type: 'webauthn.get',
    flags: USER_PRESENT | USER_VERIFIED,
    userHandle: undefined,
  };
}

const cookiesOf = (response: Response): Headers => ({
  cookie: response.headers
    .getSetCookie()
    .map((one) => one.split(';')[0] ?? '')
    .filter((one) => !one.endsWith('='))
    .join('; '),
});
const both = (...cookies: Headers[]): Headers => ({
  cookie: cookies.map(({ cookie }) => cookie).join('; '),
  origin: PUBLIC_URL,
});

async function answered<T>(response: Response, status: number): Promise<T> {
  assert.equal(response.status, status, await response.clone().text());
  return (await response.json()) as T;
}
const codeOf = async (response: Response): Promise<unknown> =>
  response.status < 400 ? response.status : ((await response.json()) as { code: string }).code;

async function loggedIn(): Promise<Headers> {
  const first = await ask('POST', '/auth/login', { body: { email, password: firstPassword } });
  if (first.status === 200) {
    const change = { currentPassword: firstPassword, newPassword: PASSWORD };
    const changed = await ask('POST', '/auth/change-password', { headers: both(cookiesOf(first)), body: change });
    return both(cookiesOf(changed));
  }
  return both(cookiesOf(await ask('POST', '/auth/login', { body: { email, password: PASSWORD } })));
}
const session = await loggedIn();

interface Creation {
  options: {
    challenge: string;
    rp: { id: string };
    user: { id: string; name: string };
    excludeCredentials: { id: string }[];
  };
  cookie: Headers;
}

async function offered(password = PASSWORD, headers = session): Promise<Response> {
  return ask('POST', '/auth/passkeys/options', { headers, body: { password } });
}
async function creation(): Promise<Creation> {
  const response = await offered();
  const { options } = await answered<Pick<Creation, 'options'>>(response, 200);
  return { options, cookie: cookiesOf(response) };
}
async function add(authenticator: Authenticator, lie: Partial<Told> = {}, cookie?: Headers): Promise<Response> {
  const asked = await creation();
  const body = { name: 'my key', response: authenticator.create(asked.options, lie) };
  return ask('POST', '/auth/passkeys', { headers: both(session, cookie ?? asked.cookie), body });
}
async function withPasskey(kind: 'Ed25519' | 'ES256' = 'ES256', counter: number | null = null): Promise<Authenticator> {
  const authenticator = new Authenticator(kind, counter);
  await answered(await add(authenticator), 201);
  return authenticator;
}
const remove = (authenticator: Authenticator): Promise<Response> =>
  ask('DELETE', `/auth/passkeys/${b64(authenticator.id)}`, { headers: session });

async function asking(): Promise<{
  options: { challenge: string; rpId: string; allowCredentials?: unknown[] };
  cookie: Headers;
}> {
  const response = await ask('POST', '/auth/passkeys/login/options', { body: {} });
  const { options } = await answered<{ options: { challenge: string; rpId: string } }>(response, 200);
  return { options, cookie: cookiesOf(response) };
}
const enter = (response: object, cookie: Headers): Promise<Response> =>
  ask('POST', '/auth/passkeys/login', { headers: cookie, body: { response } });
async function login(authenticator: Authenticator, lie: Partial<Told> = {}): Promise<Response> {
  const { options, cookie } = await asking();
  return enter(authenticator.get(options, lie), cookie);
}

for (const kind of ['Ed25519', 'ES256'] as const)
  test(`a passkey (${kind}) is added, opens sessions, is listed without its key, and is removed`, async () => {
    const authenticator = new Authenticator(kind, 0);
    const asked = await creation();
    assert.deepEqual([asked.options.rp.id, asked.options.user.name], ['localhost', email]);
    assert.ok(!asked.options.user.id.includes(email));
    const body = { name: 'my key', response: authenticator.create(asked.options) };
    const added = await answered<Record<string, unknown>>(
      await ask('POST', '/auth/passkeys', { headers: both(session, asked.cookie), body }),
      201,
    );
    assert.deepEqual(
      [added['name'], added['lastUsedAt'], added['credentialId']],
      ['my key', null, b64(authenticator.id)],
    );
    for (let n = 0; n < 2; n++) {
      const entered = await login(authenticator);
      const { user } = await answered<{ user: { email: string } }>(entered, 200);
      assert.equal(user.email, email);
      assert.equal((await ask('GET', '/auth/me', { headers: both(cookiesOf(entered)) })).status, 200);
    }
    const { data } = await answered<{ data: Record<string, unknown>[] }>(
      await ask('GET', '/auth/passkeys', { headers: session }),
      200,
    );
    const listed = data.find(({ credentialId }) => credentialId === b64(authenticator.id));
    assert.deepEqual(Object.keys(listed ?? {}), ['credentialId', 'name', 'createdAt', 'lastUsedAt', 'isBackedUp']);
    assert.equal(listed?.['lastUsedAt'], new Date(clock.nowMs).toISOString());
    assert.deepEqual(
      [await codeOf(await remove(authenticator)), await codeOf(await remove(authenticator))],
      [204, 'NOT_FOUND'],
    );
    assert.equal(await codeOf(await login(authenticator)), 'AUTH_INVALID');
  });

test('what is there already is excluded, and is not added twice', async () => {
  const authenticator = await withPasskey();
  assert.ok((await creation()).options.excludeCredentials.some(({ id }) => id === b64(authenticator.id)));
  assert.equal(await codeOf(await add(authenticator)), 'CONFLICT');
  await remove(authenticator);
});

const OTHERS: Record<string, Partial<Told>> = {
  'an answer for another origin': { origin: 'http://localhost:3001' },
  'an answer for a name above ours': { rpId: 'example.com' },
  'an answer to another challenge': { challenge: b64(randomBytes(32)) },
  'an answer of the other kind': { type: 'webauthn.create' },
  'an answer without the user': { flags: 0 },
  'an answer that did not verify the user': { flags: USER_PRESENT },
};
for (const [name, lie] of Object.entries(OTHERS))
  test(`refused: ${name}, to add and to log in`, async () => {
    const { type, ...rest } = lie;
    const flags = lie.flags === undefined ? {} : { flags: lie.flags | ATTESTED };
    const kind = type === undefined ? {} : { type: 'webauthn.get' };
    assert.equal(
      await codeOf(await add(new Authenticator('ES256'), { ...rest, ...flags, ...kind })),
      'VALIDATION_FAILED',
    );
    const authenticator = await withPasskey();
    assert.equal(await codeOf(await login(authenticator, lie)), 'AUTH_INVALID');
    assert.equal((await login(authenticator)).status, 200, 'it works while it tells the truth');
    await remove(authenticator);
  });

test('refused: a login in another browser, after five minutes, without a handle, with that of somebody else, by a stranger', async () => {
  const authenticator = await withPasskey();
  const { options, cookie } = await asking();
  const other = await asking();
  assert.equal(await codeOf(await enter(authenticator.get(options), other.cookie)), 'AUTH_INVALID');
  assert.equal(await codeOf(await enter(authenticator.get(options), {})), 'AUTH_INVALID');
  const creating = await creation();
  assert.equal(await codeOf(await enter(authenticator.get(creating.options), creating.cookie)), 'AUTH_INVALID');
  for (const userHandle of [undefined, b64(randomBytes(16)), b64('x'), 'A'.repeat(100)])
    assert.equal(await codeOf(await login(authenticator, { userHandle })), 'AUTH_INVALID');
  const stranger = new Authenticator('ES256');
  stranger.userHandle = authenticator.userHandle;
  assert.equal(await codeOf(await login(stranger)), 'AUTH_INVALID');
  clock.nowMs += 5 * 60_000;
  assert.equal(await codeOf(await enter(authenticator.get(options), cookie)), 'AUTH_INVALID');
  clock.nowMs -= 5 * 60_000;
  assert.equal((await enter(authenticator.get(options), cookie)).status, 200);
  await remove(authenticator);
});

test('refused: a key that was begun in another session, and one begun by nobody', async () => {
  const elsewhere = await loggedIn();
  const response = await offered(PASSWORD, elsewhere);
  const { options } = await answered<Pick<Creation, 'options'>>(response, 200);
  const body = { name: 'x', response: new Authenticator('ES256').create(options) };
  const headers = both(session, cookiesOf(response));
  assert.equal(await codeOf(await ask('POST', '/auth/passkeys', { headers, body })), 'VALIDATION_FAILED');
  assert.equal(await codeOf(await ask('POST', '/auth/passkeys', { headers: session, body })), 'VALIDATION_FAILED');
});

test('one answer opens one session, at once or later, whether its authenticator counts or not', async () => {
  for (const counter of [null, 7]) {
    const authenticator = await withPasskey('ES256', counter);
    const { options, cookie } = await asking();
    const answer = authenticator.get(options);
    const codes = await Promise.all([1, 2, 3].map(async () => codeOf(await enter(answer, cookie))));
    assert.deepEqual(codes.map(String).sort(), ['200', 'AUTH_INVALID', 'AUTH_INVALID']);
    assert.equal(await codeOf(await enter(answer, cookie)), 'AUTH_INVALID');
    await remove(authenticator);
  }
});

test('a counter that goes back is a copy: refused, with a line of the audit log', async () => {
  const authenticator = await withPasskey('Ed25519', 10);
  assert.equal((await login(authenticator)).status, 200);
  authenticator.counter = 5;
  assert.equal(await codeOf(await login(authenticator)), 'AUTH_INVALID');
  const { rows } = await db.database.inTenant(firstRun.tenant.id, (sql) =>
    sql.query<{ outcome: string; by: string }>(
      `select outcome, detail ->> 'by' as by from audit where action = 'login' order by position desc limit 1`,
    ),
  );
  assert.deepEqual(rows[0], { outcome: 'denied', by: 'passkey' });
  await remove(authenticator);
});

test('an account has twenty at most', async () => {
  const made: Authenticator[] = [];
  while (made.length < 20) made.push(await withPasskey());
  assert.equal(await codeOf(await offered()), 'CONFLICT');
  await remove(made[0] as Authenticator);
  assert.equal((await offered()).status, 200);
});

test('nobody adds a passkey without the password, and guessing it there is guessing it at the login', async () => {
  for (let n = 0; n < 4; n++) assert.equal(await codeOf(await offered('not the password')), 'VALIDATION_FAILED');
  const codes = new Set<unknown>();
  for (let n = 0; n < 20; n++) codes.add(await codeOf(await offered('not the password')));
  assert.ok(codes.has('RATE_LIMIT_EXCEEDED'), [...codes].join());
  const body = { email, password: PASSWORD };
  assert.equal(await codeOf(await ask('POST', '/auth/login', { body })), 'RATE_LIMIT_EXCEEDED');
});
