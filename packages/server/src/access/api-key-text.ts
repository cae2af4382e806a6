// The text of an API key: `lumina_live_` or `lumina_test_`, 256 random bits in base62, a checksum of six characters.
// The checksum tells a mistyped or invented key from a real one before the database is asked.
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

export const ENVIRONMENTS = ['live', 'test'] as const;
export type KeyEnvironment = (typeof ENVIRONMENTS)[number];

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_BYTES = 32;
/** 62^43 is the first power above 2^256. */
const RANDOM_CHARACTERS = 43;
/** 62^6 is the first power above 2^32. */
const CHECKSUM_CHARACTERS = 6;
/** `lumina_live_` and six characters: enough for people to tell keys apart, 220 bits stay unknown. */
const SHOWN_CHARACTERS = 18;

const FORMAT = new RegExp(`^lumina_(?:live|test)_[0-9A-Za-z]{${RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}$`);
const ANYWHERE = new RegExp(`lumina_(?:live|test)_[0-9A-Za-z]{${RANDOM_CHARACTERS}}`);

/** A new key; `random` is an argument for tests only. */
export function newApiKey(environment: KeyEnvironment, random: Uint8Array = randomBytes(RANDOM_BYTES)): string {
  const value = BigInt(`0x${Buffer.from(random).toString('hex')}`);
  const unchecked = `lumina_${environment}_${base62(value, RANDOM_CHARACTERS)}`;
  return unchecked + checksum(unchecked);
}

/** Whether the text is a key in form, checksum included; says nothing about whether it was ever given out. */
export function isWellFormedApiKey(text: string): boolean {
  if (!FORMAT.test(text)) return false;
  const unchecked = text.slice(0, -CHECKSUM_CHARACTERS);
  return checksum(unchecked) === text.slice(-CHECKSUM_CHARACTERS);
}

export function looksLikeApiKey(text: string): boolean {
  return text.startsWith('lumina_');
}

/** Whether a key stands somewhere in the text, such as an address. */
export function containsApiKey(text: string): boolean {
  return ANYWHERE.test(text);
}

export function shownPrefix(key: string): string {
  return key.slice(0, SHOWN_CHARACTERS);
}

/** What a key or its beginning was made for. */
export function environmentOf(prefix: string): KeyEnvironment {
  return prefix.startsWith('lumina_test_') ? 'test' : 'live';
}

function checksum(text: string): string {
  return base62(BigInt(crc32(text)), CHECKSUM_CHARACTERS);
}

function base62(value: bigint, characters: number): string {
  let text = '';
  for (let i = 0; i < characters; i++) {
    text = ALPHABET[Number(value % 62n)] + text;
    value /= 62n;
  }
  return text;
}
