// Tokens that nobody issued: without signature, signed with the public key, with headers that name a key, in other spellings.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto';
import type { Family, Passing, Reply, Way } from '../family.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Shot } from '../shot.ts';
import { quantile } from '../tally.ts';

type Claims = Record<string, unknown>;

/** Asked with each token: reads and a write, none of them public. */
const ASKED: readonly (readonly [string, string])[] = [
  ['GET', '/api/settings'],
  ['GET', '/api/keys'],
  ['GET', '/api/traces'],
  ['GET', '/api/members'],
  ['POST', '/api/v1/auth/logout'],
  ['GET', '/api/v1/photos'],
];

const NONE = ['none', 'None', 'NONE', 'nOnE', 'none ', '', 'null'];
const WEAK = ['secret', 'password', 'changeme', 'jwt', 'key', '123456', 'lumatrace', 'lumina', '', 'test', 'admin'];

const b64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const partsOf = (token: string): [string, string, string] => token.split('.') as [string, string, string];

export const tokens: Family = {
  name: 'tokens',
  about: 'forged, unsigned, expired and respelled JWTs, and foreign signatures',
  holes: [
    { name: 'alg none is taken', open: (passing, way) => trusting(passing, way, (head) => head['alg'] === 'none') },
    {
      name: 'HS256 over the public key is taken',
      open: (passing, way) => trusting(passing, way, (head) => head['alg'] === 'HS256'),
    },
    {
      name: 'the key in the header is believed',
      open: (passing, way) => trusting(passing, way, (head) => head['jwk'] !== undefined),
    },
  ],
  async run(scene) {
    const { good, kid, jwks } = await goodToken(scene);
    const claims = claimsOf(good, scene);
    const forged = [
      ...unsigned(claims, kid),
      ...confused(claims, kid, jwks),
      ...namingKeys(claims, kid),
      ...wrongClaims(claims, kid),
      ...(good === undefined ? [] : respelled(good)),
      ...scene.stage.corpora.signatures,
      ...scene.stage.corpora.strings.map((text) => b64(text)),
      ...scene.stage.corpora.strings.map(
        (text) => `${b64({ alg: 'RS256', kid: text, typ: 'at+jwt' })}.${b64(claims)}.${b64('x')}`,
      ),
    ];
    const shots = [...new Set(forged)].flatMap((token): Shot[] =>
      ASKED.map(([method, path]) => ({
        method,
        path,
        headers: { authorization: `Bearer ${token.replaceAll(/[^\x20-\x7e]/g, '')}` },
      })),
    );
    await scene.volley(shots, (answer) => (wasServed(answer) ? 'a token that nobody issued was taken' : undefined));
    await timeVerifying(scene);
  },
};

const TIMED_TOKENS = 20;
const TIMED = 5_000;

/** What good tokens cost, as a figure and no verdict, since a busy machine would decide it: several of them by turns, so that each is looked up again when what is remembered has aged. */
async function timeVerifying(scene: Scene): Promise<void> {
  const { verifyingMs, machine } = scene.stage;
  if (verifyingMs === undefined || machine === undefined || scene.isPlanted) return;
  const good: string[] = [];
  for (let i = 0; i < TIMED_TOKENS; i++) good.push((await goodToken(scene)).good ?? '');
  const p95Ms = quantile(Array.from(await verifyingMs(good, TIMED)), 0.95);
  scene.tally.more['tokenVerifyP95Ms'] = Math.round(p95Ms * 1_000) / 1_000;
}

/** Serves whoever comes with a token whose header the hole trusts, as the tenant's own key would be. */
function trusting(
  passing: Passing,
  { forward, scene }: Way,
  trusts: (head: Record<string, unknown>) => boolean,
): Promise<Reply> | Reply {
  const token = passing.headers['authorization']?.replace(/^Bearer /, '') ?? '';
  try {
    const head = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>;
    if (trusts(head)) return forward({ headers: { ...passing.headers, ...scene.ownKey } });
  } catch {
    // no token at all, or none that can be read
  }
  return forward();
}

/** A real token of the service account where we have one, and the public keys. */
async function goodToken(scene: Scene): Promise<{ good?: string; kid: string; jwks: JsonWebKey[] }> {
  const { machine } = scene.stage;
  const set = await scene.ask({ method: 'GET', path: '/.well-known/jwks.json' });
  const { keys } = JSON.parse(set.text) as { keys: (JsonWebKey & { kid?: string })[] };
  const kid = keys[0]?.kid ?? 'unknown';
  if (machine === undefined) return { kid, jwks: keys };
  const answer = await scene.ask({
    method: 'POST',
    path: '/api/v1/auth/login',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(machine),
  });
  const { token } = JSON.parse(answer.text) as { token?: string };
  return { ...(token === undefined ? {} : { good: token }), kid, jwks: keys };
}

function claimsOf(good: string | undefined, scene: Scene): Claims {
  if (good !== undefined) return JSON.parse(Buffer.from(partsOf(good)[1], 'base64url').toString()) as Claims;
  const iat = Math.floor(Date.now() / 1_000);
  return {
    iss: scene.target.http,
    aud: `${scene.target.http}/api`,
    sub: 'x',
    iat,
    nbf: iat,
    exp: iat + 900,
    typ: 'access',
  };
}

function unsigned(claims: Claims, kid: string): string[] {
  return NONE.flatMap((alg) => {
    const head = b64({ alg, kid, typ: 'at+jwt' });
    return [
      `${head}.${b64(claims)}.`,
      `${head}.${b64(claims)}`,
      `${head}.${b64(claims)}.AA`,
      `${b64({ alg })}.${b64(claims)}.`,
    ];
  });
}

/** RS256 → HS256 with every text of the public key as the secret, and with weak ones. */
function confused(claims: Claims, kid: string, jwks: readonly JsonWebKey[]): string[] {
  const secrets: (string | Buffer)[] = [...WEAK];
  for (const jwk of jwks) {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const pem = key.export({ format: 'pem', type: 'spki' }).toString();
    const pkcs1 = key.export({ format: 'pem', type: 'pkcs1' }).toString();
    const der = key.export({ format: 'der', type: 'spki' });
    secrets.push(pem, pem.trim(), pkcs1, pkcs1.trim(), der, der.toString('base64'), JSON.stringify(jwk), jwk.n ?? '');
  }
  return secrets.flatMap((secret) =>
    (['HS256', 'HS384', 'HS512'] as const).map((alg) => {
      const text = `${b64({ alg, kid, typ: 'at+jwt' })}.${b64(claims)}`;
      return `${text}.${createHmac(`sha${alg.slice(2)}`, secret)
        .update(text)
        .digest('base64url')}`;
    }),
  );
}

const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ownJwk = own.publicKey.export({ format: 'jwk' });
const ownPrivate = createPrivateKey(own.privateKey.export({ format: 'pem', type: 'pkcs8' }));

function signed(head: object, claims: object): string {
  const text = `${b64(head)}.${b64(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), ownPrivate).toString('base64url')}`;
}

function namingKeys(claims: Claims, kid: string): string[] {
  const base = { alg: 'RS256', kid, typ: 'at+jwt' };
  const heads = [
    { ...base },
    { ...base, jwk: ownJwk },
    { ...base, jku: 'http://127.0.0.1:9/jwks.json' },
    { ...base, x5u: 'http://127.0.0.1:9/cert.pem' },
    { ...base, x5c: [Buffer.from('certificate').toString('base64')] },
    { ...base, crit: ['exp'] },
    { ...base, crit: ['b64'], b64: false },
    { ...base, zip: 'DEF' },
    { ...base, enc: 'A256GCM', alg: 'dir' },
    { ...base, kid: '../../../../../../dev/null' },
    { ...base, kid: "x' union select 'secret" },
    { ...base, kid: '\u0000' },
    { ...base, kid: 'k'.repeat(2_000) },
    { ...base, kid: null },
    { ...base, kid: { $ne: 1 } },
    { alg: 'RS256', typ: 'at+jwt' },
    { ...base, alg: 'PS256' },
    { ...base, alg: 'ES256' },
    { ...base, alg: 'EdDSA' },
    { ...base, typ: 'JWT' },
  ];
  return heads.map((head) => signed(head, claims));
}

/** Right in form, with one claim wrong each, signed by a key of ours under the name of theirs. */
function wrongClaims(claims: Claims, kid: string): string[] {
  const now = Math.floor(Date.now() / 1_000);
  const changes: Claims[] = [
    { exp: now - 3_600 },
    { exp: now + 10 ** 9 },
    { exp: String(now + 900) },
    { exp: null },
    { nbf: now + 3_600 },
    { iat: now + 3_600 },
    { iss: 'https://attack.test' },
    { iss: [claims['iss']] },
    { aud: 'x' },
    { aud: [claims['aud'], 'x'] },
    { sub: 'account:root' },
    { scope: 'keys:admin traces:read *' },
    { tid: '00000000-0000-0000-0000-000000000000' },
    { jti: 1 },
    { typ: 'refresh' },
  ];
  return changes.flatMap((change) => [
    signed({ alg: 'RS256', kid, typ: 'at+jwt' }, { ...claims, ...change }),
    `${b64({ alg: 'RS256', kid, typ: 'at+jwt' })}.${b64({ ...claims, ...change })}.${'A'.repeat(512)}`,
  ]);
}

/** One real token in other spellings and with one part changed: only the text that was issued is a token. */
function respelled(good: string): string[] {
  const [head, body, signature] = partsOf(good);
  const tail = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = tail.indexOf(signature.at(-1) ?? 'A');
  const changed = Array.from(signature.slice(0, 60)).map(
    (character, i) =>
      `${head}.${body}.${signature.slice(0, i)}${character === 'A' ? 'B' : 'A'}${signature.slice(i + 1)}`,
  );
  return [
    `${good}=`,
    `${good}==`,
    `${head}=.${body}.${signature}`,
    `${head}.${body}=.${signature}`,
    `${good}.`,
    `.${good}`,
    `${good}.x`,
    `${head}..${signature}`,
    `${good.replace('.', '%2e')}`,
    `${head}.${body}.${signature.replaceAll('-', '+').replaceAll('_', '/')}+`,
    ...[1, 2, 3].map((bits) => `${head}.${body}.${signature.slice(0, -1)}${tail[last ^ bits]}`),
    ...changed,
  ];
}
