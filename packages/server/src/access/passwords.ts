// Passwords: argon2id with OWASP's parameters behind a bounded queue, so that guessing cannot eat the machine.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { hash, verify } from '@node-rs/argon2';
import { Refusal } from './refusal.ts';

/** OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, two passes, one lane; measured 8 ms on an idle core, 30 ms busy. */
const ARGON2ID = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
/** As many as there are cores in the smallest machine; each holds 19 MiB while it runs. */
const CONCURRENT = 2;
/** At 30 ms each a caller waits two seconds at most; more callers are refused. */
const MAX_WAITING = 128;

/** A failed login is answered no sooner than this after it began. */
const FAILED_LOGIN_MS = 250;

const GUESSED_FIRST = ['password', 'lumatrace', 'lumina', '123456', 'qwerty', 'letmein', 'welcome'];
/** What must remain of a password when such words are taken out. */
const MIN_OWN_CHARACTERS = 8;

export const MIN_PASSWORD_CHARACTERS = 12;
export const MAX_PASSWORD_CHARACTERS = 256;

export interface Passwords {
  hash(password: string): Promise<string>;
  /** Compares with a hash, or with a hash that nothing fits when there is none: unknown names take the same time. */
  matches(argon2id: string | undefined, password: string): Promise<boolean>;
}

/** @throws Refusal UNAVAILABLE when too many passwords wait already. */
export function createPasswords(): Passwords {
  let running = 0;
  const waiting: Array<() => void> = [];
  const nobody = hash(randomBytes(32).toString('base64'), ARGON2ID);
  nobody.catch(() => {});

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= CONCURRENT) {
      if (waiting.length >= MAX_WAITING) {
        throw new Refusal('UNAVAILABLE', 'Too many logins are waiting.', { retryAfterSeconds: 2 });
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running++;
    }
    try {
      return await work();
    } finally {
      // A waiting caller takes over the place; otherwise the place is given back.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  return {
    hash: (password) => inTurn(() => hash(password, ARGON2ID)),
    async matches(argon2id, password) {
      const against = argon2id ?? (await nobody);
      const equal = await inTurn(() => verify(against, password));
      return equal && argon2id !== undefined;
    },
  };
}

/**
 * Started with a login, awaited before it is refused: an unknown name and a known one write different rows, and this
 * is longer than either, so that the time of the answer does not tell which names exist.
 */
export function failedLoginAnswer(): Promise<void> {
  return delay(FAILED_LOGIN_MS, undefined, { ref: false });
}

/** Why a new password is refused, or undefined. Length over composition rules (NIST SP 800-63B, 3.1.1.2). */
export function passwordFault(password: string, account: { email: string; current: string }): string | undefined {
  const characters = [...password].length;
  if (characters < MIN_PASSWORD_CHARACTERS) {
    return `Expected a new password of at least ${MIN_PASSWORD_CHARACTERS} characters but received ${characters}.`;
  }
  if (characters > MAX_PASSWORD_CHARACTERS) {
    return `Expected a new password of at most ${MAX_PASSWORD_CHARACTERS} characters but received ${characters}.`;
  }
  if (password === account.current) return 'The new password is the current one.';
  if (new Set(password).size < 5) return 'The new password repeats too few characters.';
  const name = account.email.split('@')[0] ?? '';
  const guessed = [...GUESSED_FIRST, ...(name.length >= 4 ? [name] : [])];
  const rest = guessed.reduce((text, word) => text.replaceAll(word, ''), password.toLowerCase());
  return rest.length >= MIN_OWN_CHARACTERS
    ? undefined
    : 'The new password is built around words that are guessed first.';
}

/** Drawn for whoever cannot choose: 120 bits, without letters that look alike. */
export function newPassword(): string {
  const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789-';
  return Array.from(randomBytes(24), (byte) => alphabet[byte & 31]).join('');
}
