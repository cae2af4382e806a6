// The key above all keys sealed by OpenBao or Vault: its file holds what the transit engine made of it, and only the engine
// opens that. API: https://openbao.org/api-docs/secret/transit/ ("Encrypt data", "Decrypt data").
import { askTransit, fieldOf, TransitAnswer, type TransitOptions } from './transit.ts';

/** The engine refused, does not answer, or answered with something that is no key. */
export class KekTransitError extends Error {
  readonly code = 'UNAVAILABLE';
  /** The engine answered, and its answer was no: asking again changes nothing until somebody does something there. */
  readonly isRefusal: boolean;

  constructor(message: string, isRefusal: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KekTransitError';
    this.isRefusal = isRefusal;
  }
}

export interface KekTransit {
  /** One line without blanks. @throws KekTransitError */
  lock(bytes: Uint8Array): Promise<string>;
  /** @throws KekTransitError */
  unlock(line: string): Promise<Buffer>;
}

const KEK_BYTES = 32;
const CIPHERTEXT = /^(?:vault|bao):v\d{1,9}:[A-Za-z0-9+/]{40,200}={0,2}$/;
/** Bound in by the engine: what else it sealed with this key is never taken for a KEK. */
const ASSOCIATED = Buffer.from('lumatrace|kek|1').toString('base64');

/** Only these 32 bytes ever go to the engine, and only to be sealed; opening sends what it sealed. */
export function createKekTransit(options: TransitOptions): KekTransit {
  const ask = async (verb: 'encrypt' | 'decrypt', body: Record<string, string>): Promise<unknown> => {
    const path = `${verb}/${encodeURIComponent(options.key)}`;
    try {
      return fieldOf(await askTransit(options, 'POST', path, { ...body, associated_data: ASSOCIATED }), 'data');
    } catch (cause) {
      throw failed(options, verb, cause);
    }
  };
  const unlock = async (line: string): Promise<Buffer> => {
    if (!CIPHERTEXT.test(line))
      throw new KekTransitError('Expected a key sealed by a transit engine but found something else.', true);
    const text = fieldOf(await ask('decrypt', { ciphertext: line }), 'plaintext');
    const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64');
    if (bytes.length === KEK_BYTES) return bytes;
    throw new KekTransitError(`The transit engine answered with something that is no key of ${KEK_BYTES} bytes.`, true);
  };
  return {
    unlock,
    async lock(bytes) {
      const answer = await ask('encrypt', { plaintext: Buffer.from(bytes).toString('base64') });
      const line = fieldOf(answer, 'ciphertext');
      if (typeof line !== 'string' || !CIPHERTEXT.test(line))
        throw new KekTransitError('The transit engine answered with something that is no sealed key.', true);
      // nothing is wrapped under a key that does not come back
      if ((await unlock(line)).equals(bytes)) return line;
      throw new KekTransitError('The transit engine does not give back the key that it sealed.', true);
    },
  };
}

/** 4xx but 429: the engine knows us and says no. 5xx: sealed, standby, overloaded. */
function failed({ key }: TransitOptions, verb: string, cause: unknown): KekTransitError {
  const status = cause instanceof TransitAnswer ? cause.status : 0;
  const isRefusal = status >= 400 && status < 500 && status !== 429;
  const sentence = isRefusal
    ? `The transit engine refuses to ${verb} with the key "${key}" (status ${status}): see that the key is there, takes associated data (aes256-gcm96), and that the token may use it.`
    : `The transit engine that holds the key above all keys cannot be asked: ${(cause as Error).message.replace(/\.$/, '')}.`;
  return new KekTransitError(sentence, isRefusal, { cause });
}
