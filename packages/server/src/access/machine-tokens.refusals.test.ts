// Tokens that must be refused: forged, re-spelled, stolen from another issuer, out of their time, revoked.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { after, test } from 'node:test';
import { openHouse, PUBLIC_URL, signerInProcess } from '../test/house.ts';

const signer = signerInProcess();
const house = await openHouse({ signer });
after(() => house.close());
const { access, ask, firstRun, clock, db } = house;

const good = (await access.machines.login(firstRun.serviceAccount, '127.0.0.1', 'test')).token;
const [goodHeader, goodClaims] = good
  .split('.')
  .slice(0, 2)
  .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>) as [
  Record<string, unknown>,
  Record<string, unknown>,
];
const { keys } = (await access.signingKeys.current()).jwks;
const kid = String(goodHeader['kid']);
const ownKey = signer.privateKey(kid);
const publicKey = createPublicKey({ key: { ...keys[0] }, format: 'jwk' });
const nowSeconds = Math.floor(clock.nowMs / 1_000);

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token with these members over the right ones; `undefined` takes a member away. Signed with our own key. */
function token(claims: object = {}, header: object = {}, key: KeyObject = ownKey): string {
  const text = `${encode({ ...goodHeader, ...header })}.${encode({ ...goodClaims, jti: randomUUID(), ...claims })}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

async function codeFor(text: string): Promise<string> {
  return access.tokens.authenticate(text).then(
    () => 'accepted',
    (error: { code: string; message: string }) => {
      if (error.code === 'AUTH_INVALID') assert.equal(error.message, 'The token is not valid.');
      return error.code;
    },
  );
}

async function refusesAll(cases: Record<string, string>, code = 'AUTH_INVALID'): Promise<void> {
  for (const [name, text] of Object.entries(cases)) assert.equal(await codeFor(text), code, name);
}

test('what the helper of this file signs is accepted, so that each refusal below has one reason', async () => {
  assert.equal(await codeFor(good), 'accepted');
  assert.equal(await codeFor(token()), 'accepted');
});

test('no algorithm, in any spelling', async () => {
  const [, claims, signature] = good.split('.');
  const unsigned = ['none', 'None', 'nOnE', 'NONE', ''].flatMap((alg) => {
    const header = encode({ ...goodHeader, alg });
    return [
      [`${alg} without signature`, `${header}.${claims}.`],
      [`${alg} with the old signature`, `${header}.${claims}.${signature}`],
    ] as const;
  });
  await refusesAll(Object.fromEntries(unsigned));
});

test('HMAC under the public key, whatever text of it is the secret', async () => {
  const secrets = {
    'SPKI PEM': publicKey.export({ format: 'pem', type: 'spki' }),
    'PKCS#1 PEM': publicKey.export({ format: 'pem', type: 'pkcs1' }),
    'SPKI DER': publicKey.export({ format: 'der', type: 'spki' }),
    JWK: JSON.stringify(publicKey.export({ format: 'jwk' })),
    'published JWK': JSON.stringify(keys[0]),
    modulus: String(publicKey.export({ format: 'jwk' }).n),
    nothing: '',
  };
  const cases = Object.entries(secrets).flatMap(([name, secret]) =>
    (['256', '384', '512'] as const).map((bits) => {
      const signed = tbs(`HS${bits}`);
      const mac = createHmac(`sha${bits}`, secret).update(signed).digest('base64url');
      return [`HS${bits} ${name}`, `${signed}.${mac}`] as const;
    }),
  );
  await refusesAll(Object.fromEntries(cases));
});

test('keys that the token itself brings or points to', async () => {
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = foreign.publicKey.export({ format: 'jwk' });
  const key = foreign.privateKey;
  await refusesAll({
    'a foreign key under our kid': token({}, {}, key),
    'jwk, foreign': token({}, { jwk, kid: undefined }, key),
    'jwk and our kid': token({}, { jwk }, key),
    'jwk, signed by us': token({}, { jwk }),
    jku: token({}, { jku: 'https://attacker.example/jwks.json' }, key),
    x5u: token({}, { x5u: 'https://attacker.example/cert.pem' }, key),
    x5c: token({}, { x5c: ['MIIB'] }, key),
    x5t: token({}, { x5t: 'AAAA' }),
  });
});

test('headers that demand what we do not do', async () => {
  await refusesAll({
    'unknown crit': token({}, { crit: ['exp'], exp: 1 }),
    'empty crit': token({}, { crit: [] }),
    'b64 false': token({}, { b64: false, crit: ['b64'] }),
    'no typ': token({}, { typ: undefined }),
    'other typ': token({}, { typ: 'JWT' }),
    cty: token({}, { cty: 'JWT' }),
    'header is a list': `${encode([])}.${encode(goodClaims)}.AAAA`,
    'header is not JSON': `${encode('{')}.${encode(goodClaims)}.AAAA`,
    'header names __proto__': `${encode('{"__proto__":{},"alg":"RS256","typ":"at+jwt"}')}.${encode(goodClaims)}.AAAA`,
    JWE: 'e30.AAAA.AAAA.AAAA.AAAA',
    'two parts': good.split('.').slice(0, 2).join('.'),
    empty: '',
    dots: '..',
  });
});

const tbs = (alg: string): string => `${encode({ ...goodHeader, alg })}.${encode(goodClaims)}`;

test('another algorithm than the one the key is for', async () => {
  const pss = { key: ownKey, padding: 6, saltLength: 32 };
  await refusesAll({
    PS256: `${tbs('PS256')}.${sign('sha256', Buffer.from(tbs('PS256')), pss).toString('base64url')}`,
    RS512: `${tbs('RS512')}.${sign('sha512', Buffer.from(tbs('RS512')), ownKey).toString('base64url')}`,
    'ES256, signature 0/0': `${tbs('ES256')}.${Buffer.alloc(64).toString('base64url')}`,
    'alg is a list': token({}, { alg: ['RS256'] }),
    'alg is missing': token({}, { alg: undefined }),
  });
});

test('a kid that is a path, SQL, NUL, huge or unknown reaches neither disk nor database', async () => {
  let asked = 0;
  const { inSystem, inTenant, inLookup } = db.database;
  const count = (): void => void asked++;
  Object.assign(db.database, {
    inSystem: (...given: Parameters<typeof inSystem>) => (count(), inSystem.apply(db.database, given)),
    inTenant: (...given: Parameters<typeof inTenant>) => (count(), inTenant.apply(db.database, given)),
    inLookup: (...given: Parameters<typeof inLookup>) => (count(), inLookup.apply(db.database, given)),
  });
  try {
    const kids = [
      '../../../../dev/null',
      '/proc/self/environ',
      "' or 1=1 --",
      "x'; drop table signing_keys; --",
      '\0',
      `${kid}\0`,
      'k'.repeat(10_240),
      '__proto__',
      'constructor',
      '',
      kid.toUpperCase(),
      ` ${kid}`,
      'https://attacker.example/key',
    ];
    await refusesAll(Object.fromEntries(kids.map((kid) => [kid.slice(0, 30), token({}, { kid })])));
    await refusesAll({ 'a number': token({}, { kid: 1 }), 'no kid': token({}, { kid: undefined }) });
    assert.equal(asked, 0);
  } finally {
    Object.assign(db.database, { inSystem, inTenant, inLookup });
  }
});

test('every other spelling of a good token', async () => {
  const [header = '', claims = '', signature = ''] = good.split('.');
  const last = signature.slice(-1);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  // 256 bytes leave four spare bits in the last character: fifteen other characters decode to the same signature.
  const twins = [...alphabet].filter(
    (other) =>
      other !== last &&
      Buffer.from(signature.slice(0, -1) + other, 'base64url').equals(Buffer.from(signature, 'base64url')),
  );
  assert.equal(twins.length, 15);
  await refusesAll({
    'padded signature': `${good}==`,
    'padded header': `${header}=.${claims}.${signature}`,
    'leading blank': ` ${good}`,
    'trailing blank': `${good} `,
    'trailing newline': `${good}\n`,
    'blank inside': `${header}. ${claims}.${signature}`,
    'tab inside': `${header}.${claims}\t.${signature}`,
    'base64 instead of base64url': `${header}.${claims}.${signature.replaceAll('-', '+').replaceAll('_', '/')}`,
    'trailing dot': `${good}.`,
    ...Object.fromEntries(
      twins.map((twin) => [`tail ${twin}`, `${header}.${claims}.${signature.slice(0, -1)}${twin}`]),
    ),
    'cut signature': good.slice(0, -4),
    'changed claim': `${header}.${encode({ ...goodClaims, scope: 'keys:admin' })}.${signature}`,
  });
});

test('over HTTP a re-spelled token is refused as well, however the header is folded', async () => {
  for (const authorization of [`Bearer ${good}==`, `Bearer ${good} x`, `Bearer  ${good}=`, `Bearer ${good},${good}`]) {
    const response = await ask('GET', '/api/keys', { headers: { authorization } });
    assert.equal(response.status, 401, authorization.slice(-10));
  }
});

test('tokens out of their time, with thirty seconds for clocks that differ', async () => {
  const at = (offsets: { iat?: number; nbf?: number; exp?: number }): string =>
    token(Object.fromEntries(Object.entries(offsets).map(([name, offset]) => [name, nowSeconds + offset])));
  await refusesAll(
    {
      'expired 31 s ago': at({ iat: -931, nbf: -931, exp: -31 }),
      'expired an hour ago': at({ iat: -4_500, nbf: -4_500, exp: -3_600 }),
    },
    'AUTH_EXPIRED',
  );
  await refusesAll({
    'not before 35 s from now': at({ nbf: 35 }),
    'not before 300 s from now': at({ nbf: 300 }),
    'issued 35 s from now': at({ iat: 35, exp: 900 }),
    'issued a year from now': at({ iat: 31_536_000, exp: 31_536_900 }),
    'lives longer than fifteen minutes': at({ exp: 3_600 }),
    'exp is text': token({ exp: String(nowSeconds + 900) }),
    'exp is beyond every calendar': token({ exp: 1e300 }),
  });
  for (const offsets of [{ exp: -25, iat: -900, nbf: -900 }, { nbf: 25 }, { iat: 25, exp: 900 }]) {
    assert.equal(await codeFor(at(offsets)), 'accepted', JSON.stringify(offsets));
  }
});

test('another issuer or audience, also nearly ours', async () => {
  await refusesAll({
    'other issuer': token({ iss: 'https://attacker.example' }),
    'issuer with a slash': token({ iss: `${PUBLIC_URL}/` }),
    'issuer as prefix': token({ iss: `${PUBLIC_URL}.attacker.example` }),
    'issuer as list': token({ iss: [PUBLIC_URL] }),
    'other audience': token({ aud: 'https://attacker.example' }),
    'audience as list': token({ aud: [goodClaims['aud']] }),
    'audience among others': token({ aud: [goodClaims['aud'], 'https://attacker.example'] }),
    'audience as prefix': token({ aud: `${String(goodClaims['aud'])}/x` }),
    'audience cut': token({ aud: String(goodClaims['aud']).slice(0, -1) }),
  });
});

test('a claim that is missing or of another kind', async () => {
  const missing = Object.keys(goodClaims).map((name) => [`no ${name}`, token({ [name]: undefined })] as const);
  await refusesAll(Object.fromEntries(missing));
  await refusesAll({
    'tid is no UUID': token({ tid: "' or 1=1 --" }),
    'tid is empty': token({ tid: '' }),
    'jti is a number': token({ jti: 1 }),
    'jti is empty': token({ jti: '' }),
    'scope is a list': token({ scope: ['keys:admin'] }),
    'typ is another': token({ typ: 'refresh' }),
    'sub is a person': token({ sub: `account:${randomUUID()}` }),
    'claims are a list': `${encode(goodHeader)}.${encode([])}.AAAA`,
  });
});

test('an account of one tenant with the tid of another', async () => {
  await refusesAll({
    'other tid': token({ tid: randomUUID() }),
    'unknown account': token({ sub: `service-account:${randomUUID()}` }),
  });
});

test('scopes that do not exist give nothing', async () => {
  const principal = await access.tokens.authenticate(token({ scope: 'traces:read root * constructor' }));
  assert.deepEqual([...principal.scopes], ['traces:read']);
});

test('a revoked token stays revoked: at once here, in seconds elsewhere, and in every spelling', async () => {
  const { token: text } = await access.machines.login(firstRun.serviceAccount, '127.0.0.1', 'test');
  const elsewhere = await openTokensElsewhere();
  assert.equal(await codeFor(text), 'accepted');
  assert.equal((await elsewhere(text)) !== undefined, true);
  const principal = await access.tokens.authenticate(text);
  await access.tokens.revoke(principal, 'test');
  await access.tokens.revoke(principal, 'test');
  assert.equal(await codeFor(text), 'AUTH_INVALID');
  assert.equal(await codeFor(`${text}=`), 'AUTH_INVALID');
  clock.nowMs += 5_000;
  assert.equal(await elsewhere(text), undefined);
  clock.nowMs -= 5_000;
});

test('when the database does not answer, a token is refused as unavailable, never let through', async () => {
  const { inTenant } = db.database;
  const lost = Object.assign(new Error('The database does not answer.'), { code: 'UNAVAILABLE' });
  Object.assign(db.database, { inTenant: () => Promise.reject(lost) });
  try {
    assert.equal(await codeFor(token()), 'UNAVAILABLE');
    clock.nowMs += 5_000;
    assert.equal(await codeFor(good), 'UNAVAILABLE');
  } finally {
    clock.nowMs -= 5_000;
    Object.assign(db.database, { inTenant });
  }
  assert.equal(await codeFor(token()), 'accepted');
});

test('a disabled service account takes its tokens with it', async () => {
  await db.database.inTenant(firstRun.tenant.id, (sql) => sql.query('update service_accounts set disabled_at = now()'));
  clock.nowMs += 5_000;
  assert.equal(await codeFor(good), 'AUTH_INVALID');
  assert.equal(await codeFor(token()), 'AUTH_INVALID');
  const login = access.machines.login(firstRun.serviceAccount, '127.0.0.1', 'test');
  await assert.rejects(login, { code: 'AUTH_INVALID' });
  clock.nowMs -= 5_000;
});

/** The same tokens as another process sees them: a cache of its own over the same database. */
async function openTokensElsewhere(): Promise<(text: string) => Promise<unknown>> {
  const { createMachineTokens } = await import('./machine-tokens.ts');
  const tokens = createMachineTokens({
    database: db.database,
    signingKeys: access.signingKeys,
    issuer: PUBLIC_URL,
    audience: `${PUBLIC_URL}/api`,
    nowMs: () => clock.nowMs,
  });
  return (text) => tokens.authenticate(text).catch(() => undefined);
}
