// Telling somebody elsewhere: one signed POST as Standard Webhooks (github.com/standard-webhooks/standard-webhooks,
// spec/standard-webhooks.md), so that receivers check it with a library they have.
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { EgressError, type Egress } from './egress.ts';

export interface WebhookOptions {
  url: string;
  /** The shared secret, 24 to 64 bytes. */
  secret: Uint8Array;
  egress: Egress;
  nowMs?: () => number;
}

export interface Webhook {
  /** Host and port, for people and logs: the path may hold a secret. */
  readonly place: string;
  /**
   * Resolves when the receiver answered 2xx. Whoever sends again after a failure gives the same `id`, by which receivers know it.
   * @throws EgressError
   */
  send(id: string, type: string, data: object): Promise<void>;
}

const PREFIX = 'whsec_';
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 65_536;

/** A secret that cannot be used; the sentence holds nothing of it. */
export class SecretRefused extends Error {
  readonly code = 'VALIDATION_FAILED';
}

/** @param file holds `whsec_` and base64, as Standard Webhooks writes it. @throws SecretRefused */
export async function readWebhookSecret(file: string): Promise<Buffer> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new SecretRefused(`Expected a readable file at ${file} but received ${cause.code}.`, { cause });
  });
  const base64 = text.trim().replace(PREFIX, '');
  const secret = Buffer.from(base64, 'base64');
  const isRight = text.startsWith(PREFIX) && secret.toString('base64').replace(/=+$/, '') === base64.replace(/=+$/, '');
  if (isRight && secret.length >= MIN_SECRET_BYTES && secret.length <= MAX_SECRET_BYTES) return secret;
  throw new SecretRefused(
    `Expected ${PREFIX} and the base64 of ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes in ${file}: echo "${PREFIX}$(openssl rand -base64 32)" makes one.`,
  );
}

export function createWebhook({ url, secret, egress, nowMs = Date.now }: WebhookOptions): Webhook {
  const { host } = new URL(url);
  return {
    place: host,
    async send(id, type, data) {
      const timestamp = String(Math.floor(nowMs() / 1_000));
      const body = JSON.stringify({ type, timestamp: new Date(nowMs()).toISOString(), data });
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'LumaTrace',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature(secret, `${id}.${timestamp}.${body}`)}`,
      };
      const { status } = await egress({
        url,
        method: 'POST',
        headers,
        body,
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
      });
      if (status < 200 || status > 299) throw new EgressError('EGRESS_FAILED', `The receiver answered ${status}.`);
    },
  };
}

const signature = (secret: Uint8Array, text: string): string =>
  createHmac('sha256', secret).update(text).digest('base64');
