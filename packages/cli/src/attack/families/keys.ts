// API keys that were never given out, or not any more: guessed, mistyped, cut, revoked, expired, standing in an address.
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { Family } from '../family.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Shot } from '../shot.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_CHARACTERS = 43;
const GUESSES = 600;
/** The contract: a revoked key stops within five seconds. */
const REVOKED_AFTER_MS = 5_000;
const EXPIRES_AFTER_MS = 1_500;

const CARRIERS: readonly ((key: string) => Record<string, string>)[] = [
  (key) => ({ authorization: `Bearer ${key}` }),
  (key) => ({ 'x-api-key': key }),
  (key) => ({ authorization: `Basic ${Buffer.from(`any:${key}`).toString('base64')}` }),
];
const PARAMETERS = ['api_key', 'apikey', 'key', 'access_token', 'token', 'x-api-key', 'auth', 'q'];

export const keys: Family = {
  name: 'keys',
  about: 'guessed, mistyped, revoked and expired API keys, and keys in addresses',
  holes: [
    {
      name: 'only the beginning of a key is compared',
      open({ headers }, { forward, scene }) {
        const begin = scene.stage.own.apiKey.slice(0, 30);
        const isNear = headers['authorization']?.startsWith(`Bearer ${begin}`) === true;
        return isNear ? forward({ headers: { ...headers, ...scene.ownKey } }) : forward();
      },
    },
    {
      name: 'a key may stand in the address',
      open({ url, headers }, { forward }) {
        const key = /[?&]api_key=([^&]+)/.exec(url)?.[1];
        if (key === undefined) return forward();
        return forward({ url: url.replace(/\?.*/, ''), headers: { ...headers, authorization: `Bearer ${key}` } });
      },
    },
    {
      name: 'a key is taken when its checksum fits',
      open({ headers }, { forward, scene }) {
        const key = headers['x-api-key'] ?? '';
        const fits = key.startsWith('lumina_') && key === withChecksum(key.slice(0, -6));
        return fits ? forward({ headers: { ...headers, 'x-api-key': scene.stage.own.apiKey } }) : forward();
      },
    },
  ],
  async run(scene) {
    const { apiKey } = scene.stage.own;
    const forged = [
      ...mistyped(apiKey),
      ...misshapen(apiKey),
      ...guessed(scene),
      ...scene.stage.corpora.strings,
    ].filter((key) => key.trim() !== apiKey);
    const paths = ['/api/settings', '/api/keys'];
    const shots = forged.flatMap((key) =>
      CARRIERS.flatMap((carry) => paths.map((path): Shot => ({ method: 'GET', path, headers: sendable(carry(key)) }))),
    );
    await scene.volley(shots, (answer) => (wasServed(answer) ? 'a key that was never given out was taken' : undefined));
    await scene.volley(inAddresses(apiKey), (answer) =>
      wasServed(answer) ? 'a key in the address was taken' : undefined,
    );
    if (!scene.isPlanted) await tryEndedKeys(scene);
  },
};

/** Characters that no header may hold are taken out; what they would do is tried on raw sockets. */
function sendable(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '')]),
  );
}

/** Each character exchanged: with the old checksum, and with one that fits again. */
function mistyped(apiKey: string): string[] {
  return Array.from(apiKey).flatMap((character, i) => {
    const place = ALPHABET.indexOf(character);
    return [1, 11, 26, 36].flatMap((step) => {
      const other = ALPHABET[(place + step) % ALPHABET.length] ?? '';
      const changed = apiKey.slice(0, i) + other + apiKey.slice(i + 1);
      return [changed, withChecksum(changed.slice(0, -6))];
    });
  });
}

function misshapen(apiKey: string): string[] {
  const cut = Array.from({ length: apiKey.length - 1 }, (_, i) => apiKey.slice(0, i + 1));
  const secret = apiKey.slice('lumina_live_'.length);
  return [
    ...cut,
    apiKey.replace('live', 'test'),
    apiKey.toUpperCase(),
    apiKey.toLowerCase(),
    `${apiKey}0`,
    `${apiKey}${apiKey}`,
    `${apiKey},${apiKey}`,
    `x${apiKey}`,
    secret,
    `lumina_prod_${secret}`,
    `lumina__${secret}`,
    apiKey.replaceAll('_', '-'),
    apiKey.replace('_', '%5f'),
    [...apiKey].toReversed().join(''),
    Buffer.from(apiKey).toString('base64'),
    Buffer.from(apiKey).toString('hex'),
    '*',
    '%',
    'null',
    'undefined',
    'true',
    '[object Object]',
  ];
}

/** Well-formed keys, as somebody would make them who has read the source. */
function guessed(scene: Scene): string[] {
  return Array.from({ length: GUESSES }, () => {
    const secret = Array.from({ length: SECRET_CHARACTERS }, () => scene.random.pick(Array.from(ALPHABET))).join('');
    return withChecksum(`lumina_${scene.random.pick(['live', 'test'])}_${secret}`);
  });
}

function withChecksum(unchecked: string): string {
  let value = crc32(unchecked);
  let text = '';
  for (let i = 0; i < 6; i++) {
    text = ALPHABET.charAt(value % 62) + text;
    value = Math.floor(value / 62);
  }
  return unchecked + text;
}

function inAddresses(apiKey: string): Shot[] {
  const spellings = [apiKey, apiKey.replace('_', '%5F'), apiKey.replace('l', '%6c')];
  return PARAMETERS.flatMap((name) =>
    spellings.flatMap((key) =>
      ['/api/settings', '/api/traces', '/api/keys', '/auth/me'].flatMap((path): Shot[] => [
        { method: 'GET', path: `${path}?${name}=${key}` },
        { method: 'GET', path: `${path}?${name}=${key}`, headers: { authorization: `Bearer ${apiKey}` } },
      ]),
    ),
  );
}

function carried(key: string): Shot[] {
  return CARRIERS.map((carry) => ({ method: 'GET', path: '/api/settings', headers: carry(key) }));
}

/** One key is revoked, one expires: both must be dead five seconds later, on every carrier. */
async function tryEndedKeys(scene: Scene): Promise<void> {
  const make = async (more: object): Promise<{ keyId: string; apiKey: string }> => {
    const body = JSON.stringify({ name: 'soon gone', scopes: ['traces:read'], ...more });
    const headers = { ...scene.ownKey, 'content-type': 'application/json' };
    const answer = await scene.ask({ method: 'POST', path: '/api/keys', headers, body });
    return JSON.parse(answer.text) as { keyId: string; apiKey: string };
  };
  const revoked = await make({});
  const expired = await make({ expiresAt: new Date(Date.now() + EXPIRES_AFTER_MS).toISOString() });
  for (const shot of [...carried(revoked.apiKey), ...carried(expired.apiKey)]) {
    const answer = await scene.ask(shot);
    if (!wasServed(answer)) throw new Error(`Expected a new key to be served but received ${answer.status}`);
  }
  await scene.ask({ method: 'DELETE', path: `/api/keys/${revoked.keyId}`, headers: scene.ownKey });
  await sleep(REVOKED_AFTER_MS);
  for (const shot of [...carried(revoked.apiKey), ...carried(expired.apiKey)]) {
    await scene.fire(shot, (answer) => (wasServed(answer) ? 'a revoked or expired key was taken' : undefined));
  }
}
