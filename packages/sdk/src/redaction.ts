// Redaction before sending: the default rules until the server's are known, then the server's, asked for again now and then.
// Never waits, and never sends a text that no rules were applied to.
import type { Attributes } from '@opentelemetry/api';
import {
  compileRedaction,
  DEFAULT_REDACTION,
  type Redaction,
  type RedactionRules,
} from '@lumatrace/telemetry/redact.ts';
import type { KeySource } from './key.ts';
import { nameOf, type Notices } from './notices.ts';
import type { Redactor } from './otlp.ts';
import type { Connection } from './request.ts';

const FRESH_MS = 60_000;
type OwnAttributes = Parameters<Redaction['redactAttributes']>[0];

export class RedactionSource {
  readonly #url: string;
  readonly #connection: Connection;
  readonly #key: KeySource;
  readonly #notices: Notices;
  #redactor = redactorOf(compileRedaction(DEFAULT_REDACTION));
  #version = DEFAULT_REDACTION.version;
  #askedMs = -Infinity;

  constructor(endpoint: string, connection: Connection, key: KeySource, notices: Notices) {
    this.#url = `${endpoint}/api/redaction`;
    this.#connection = connection;
    this.#key = key;
    this.#notices = notices;
  }

  /** Version of the rules in force; `default-…` until the server's are known. */
  get version(): string {
    return this.#version;
  }

  /** The rules in force. Asks for newer ones beside when these are a minute old. */
  current(): Redactor {
    if (performance.now() - this.#askedMs > FRESH_MS) void this.refresh();
    return this.#redactor;
  }

  /** Never rejects: what cannot be had or cannot run leaves the rules as they are. */
  async refresh(): Promise<void> {
    this.#askedMs = performance.now();
    try {
      const rules = await this.#ask();
      if (rules === undefined || rules.version === this.#version) return;
      this.#redactor = redactorOf(compileRedaction(rules));
      this.#version = rules.version;
    } catch (error) {
      this.#notices.once(
        'redaction',
        `the redaction rules of the server are not known (${nameOf(error)}); ${IN_FORCE}`,
      );
    }
  }

  async #ask(): Promise<RedactionRules | undefined> {
    const token = await this.#key.current();
    const headers: Record<string, string> = { accept: 'application/json' };
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
    const answer = await this.#connection.send('GET', this.#url, headers);
    if (answer.status === 401) this.#key.forget();
    if (answer.status !== 200) {
      this.#notices.once('redaction', `${this.#url} answered ${answer.status}; ${IN_FORCE}`);
      return undefined;
    }
    return rulesFrom(JSON.parse(answer.body));
  }
}

const IN_FORCE = 'the rules known so far, or the built-in ones, are applied.';

/** The fields that the engine reads; it judges each rule itself. */
function rulesFrom(body: unknown): RedactionRules {
  const { version, personalData, rules } = (body ?? {}) as Partial<RedactionRules>;
  if (typeof version !== 'string' || typeof personalData !== 'boolean' || !Array.isArray(rules)) {
    throw new TypeError('Expected redaction rules but received something else');
  }
  return { version, personalData, rules };
}

function redactorOf(redaction: Redaction): Redactor {
  return {
    text: (text) => redaction.redactText(text).text,
    attributes: (attributes) => redaction.redactAttributes(attributes as OwnAttributes) as Attributes,
  };
}
