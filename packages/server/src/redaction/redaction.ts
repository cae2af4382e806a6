// A tenant's redaction: its rules in versions, ready to run on every way in, what they found counted by day, and a try
// of rules that are not saved yet.
import { createHmac, randomBytes } from 'node:crypto';
import {
  compileRedaction,
  DEFAULT_REDACTION,
  RedactionRuleError,
  type Attributes,
  type Json,
  type Redaction,
  type RedactionHit,
  type RedactionRule,
  type RedactionRules,
} from '@lumatrace/telemetry';
import { audit } from '../access/audit.ts';
import type { Principal } from '../access/principal.ts';
import type { TenantKeys } from '../keys/tenant-key.ts';
import type { Database } from '../storage/database.ts';
import {
  addHits,
  forgetHits,
  insertRules,
  readHits,
  readRules,
  type HitCount,
  type RulesRow,
} from '../storage/postgres/redaction.ts';

export interface RedactionRoomOptions {
  database: Database;
  tenantKeys: TenantKeys;
  nowMs?: () => number;
  onError?: (error: unknown) => void;
}

export interface ShownRules extends RedactionRules {
  /** When and by whom this version was made; null: nobody changed the rules of the release. */
  changedAt: string | null;
  changedBy: string | null;
}

/** What a try looks at: a text, or parts of a span as the API shows them. */
export interface Tried {
  before: Json;
  after: Json;
  hits: RedactionHit[];
}

export interface RedactionRoom {
  /** The tenant's rules, at most five seconds old. Rejects when they cannot be read: nothing is taken in unredacted. */
  redactorOf(tenantId: string): Promise<Redaction>;
  rules(tenantId: string): Promise<ShownRules>;
  /** A new version; `version`, when given, must be the one in force. @throws RedactionRefusal, RedactionRuleError. */
  change(by: Principal, requestId: string, change: RulesChange): Promise<ShownRules>;
  hits(tenantId: string, days: number): Promise<HitCount[]>;
  /**
   * Applies the rules (those in force without) and stores nothing. Hashes are under a key of this process, so equal
   * values of tries stay equal and none equals a stored one. @throws RedactionRuleError.
   */
  try(tenantId: string, rules: Omit<RedactionRules, 'version'> | undefined, content: Json): Promise<Tried>;
  /** Writes what was counted and ends. */
  close(): Promise<void>;
}

export interface RulesChange {
  version?: string | undefined;
  personalData: boolean;
  rules: RedactionRule[];
}

export class RedactionRefusal extends Error {
  override readonly name = 'RedactionRefusal';
  readonly code = 'CONFLICT';
}

const FRESH_MS = 4_000;
const FLUSH_EVERY_MS = 2_000;
const HITS_KEPT_DAYS = 400;
const MAX_WAITING_COUNTS = 100_000;
const DAY_MS = 86_400_000;

interface Ready {
  version: string;
  redaction: Redaction;
}

export function createRedaction(options: RedactionRoomOptions): RedactionRoom {
  return new Room(options);
}

class Room implements RedactionRoom {
  readonly #options: Required<RedactionRoomOptions>;
  readonly #ready = new Map<string, { ready: Promise<Ready>; staleAtMs: number }>();
  readonly #counted = new Map<string, Map<string, number>>();
  readonly #tryRoot = randomBytes(32);
  #waitingCounts = 0;
  readonly #timer: NodeJS.Timeout;
  #flushing: Promise<void> = Promise.resolve();

  constructor(options: RedactionRoomOptions) {
    this.#options = { nowMs: Date.now, onError: () => {}, ...options };
    this.#timer = setInterval(() => void this.#flush(), FLUSH_EVERY_MS).unref();
  }

  async redactorOf(tenantId: string): Promise<Redaction> {
    const nowMs = this.#options.nowMs();
    const known = this.#ready.get(tenantId);
    if (known !== undefined && nowMs < known.staleAtMs) return (await known.ready).redaction;
    for (const [id, { staleAtMs }] of this.#ready) if (staleAtMs + DAY_MS < nowMs) this.#ready.delete(id);
    const entry = { ready: this.#readyAgain(tenantId, known?.ready), staleAtMs: nowMs + FRESH_MS };
    this.#ready.set(tenantId, entry);
    entry.ready.catch(() => {
      if (this.#ready.get(tenantId) === entry) this.#ready.delete(tenantId);
    });
    return (await entry.ready).redaction;
  }

  /** Compiled again only when the version changed. */
  async #readyAgain(tenantId: string, before: Promise<Ready> | undefined): Promise<Ready> {
    const rules = await this.rules(tenantId);
    const known = await before?.catch(() => undefined);
    if (known?.version === rules.version) return known;
    const onHit = (ruleId: string, count: number): void => this.#count(tenantId, ruleId, count);
    return {
      version: rules.version,
      redaction: compileRedaction(rules, { hashKey: await this.#hashKey(tenantId), onHit }),
    };
  }

  /** One key of the tenant for good: equal values stay equal while the rules change. */
  async #hashKey(tenantId: string): Promise<Uint8Array> {
    return (await this.#options.tenantKeys.forTenant(tenantId)).derive('blind-index', 'redaction');
  }

  /** Of tries: under the key of what is stored they would tell everybody who may read whether a guess is right. */
  #tryKey(tenantId: string): Uint8Array {
    return createHmac('sha256', this.#tryRoot).update(tenantId).digest();
  }

  async rules(tenantId: string): Promise<ShownRules> {
    return shown(await this.#options.database.inTenant(tenantId, (sql) => readRules(sql, tenantId)));
  }

  async change(by: Principal, requestId: string, { version, personalData, rules }: RulesChange): Promise<ShownRules> {
    const { tenantId } = by;
    const changed = await this.#options.database.inTenant(tenantId, async (sql) => {
      const before = await readRules(sql, tenantId);
      if (version !== undefined && version !== shown(before).version) throw new RedactionRefusal(CHANGED_MEANWHILE);
      const next = (before?.version ?? 0) + 1;
      refuseTakenIds(rules);
      compileRedaction({ version: String(next), personalData, rules });
      const isMade = await insertRules(sql, tenantId, {
        version: next,
        rules: { personalData, rules },
        changedBy: by.subject,
      });
      if (!isMade) throw new RedactionRefusal(CHANGED_MEANWHILE);
      await audit(sql, {
        tenantId,
        actor: by.subject,
        action: 'redaction.change',
        object: `redaction:${next}`,
        outcome: 'done',
        requestId,
        detail: { personalData, ...differences(shown(before).rules, rules) },
      });
      return readRules(sql, tenantId);
    });
    this.#ready.delete(tenantId);
    return shown(changed);
  }

  async hits(tenantId: string, days: number): Promise<HitCount[]> {
    const since = this.#day(-(days - 1));
    return this.#options.database.inTenant(tenantId, (sql) => readHits(sql, tenantId, since));
  }

  async try(tenantId: string, rules: Omit<RedactionRules, 'version'> | undefined, content: Json): Promise<Tried> {
    const hits = new Map<string, number>();
    const onHit = (ruleId: string, count: number): void => void hits.set(ruleId, (hits.get(ruleId) ?? 0) + count);
    const tried = rules === undefined ? await this.rules(tenantId) : { ...rules, version: 'try' };
    if (rules !== undefined) refuseTakenIds(rules.rules);
    const redaction = compileRedaction(tried, { hashKey: this.#tryKey(tenantId), onHit });
    const after = redactedParts(redaction, content);
    return { before: content, after, hits: [...hits].map(([ruleId, count]) => ({ ruleId, count })) };
  }

  #count(tenantId: string, ruleId: string, count: number): void {
    const own = this.#counted.get(tenantId) ?? new Map<string, number>();
    this.#counted.set(tenantId, own);
    const key = `${this.#day(0)} ${ruleId}`;
    if (!own.has(key) && ++this.#waitingCounts > MAX_WAITING_COUNTS) return;
    own.set(key, (own.get(key) ?? 0) + count);
  }

  #day(offset: number): string {
    return new Date(this.#options.nowMs() + offset * DAY_MS).toISOString().slice(0, 10);
  }

  /** One after the other; what cannot be written waits for the next time. */
  #flush(): Promise<void> {
    return (this.#flushing = this.#flushing.then(async () => {
      for (const [tenantId, own] of Array.from(this.#counted)) {
        this.#counted.delete(tenantId);
        this.#waitingCounts -= own.size;
        const counts = [...own].map(([key, hits]) => ({ day: key.slice(0, 10), ruleId: key.slice(11), hits }));
        await this.#write(tenantId, counts).catch((error: unknown) => {
          this.#options.onError(error);
          for (const { ruleId, hits } of counts) this.#count(tenantId, ruleId, hits);
        });
      }
    }));
  }

  async #write(tenantId: string, counts: readonly HitCount[]): Promise<void> {
    await this.#options.database.inTenant(tenantId, async (sql) => {
      await addHits(sql, tenantId, counts);
      await forgetHits(sql, tenantId, this.#day(-HITS_KEPT_DAYS));
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flush();
  }
}

const CHANGED_MEANWHILE = 'Somebody changed the rules in the meantime: load them again and repeat the change.';

const BUILTIN_IDS: ReadonlySet<string> = new Set(DEFAULT_REDACTION.rules.map(({ id }) => id));

/** What the tenant said, completed with the built-in rules that came with a later release. */
function shown(row: RulesRow | undefined): ShownRules {
  if (row === undefined) return { ...DEFAULT_REDACTION, changedAt: null, changedBy: null };
  const { personalData, rules } = row.rules as Omit<RedactionRules, 'version'>;
  // a rule that this release has no more would keep the others from running
  const running = rules.filter(({ source, id }) => source === 'tenant' || BUILTIN_IDS.has(id));
  const known = new Set(running.flatMap(({ source, id }) => (source === 'builtin' ? [id] : [])));
  return {
    version: String(row.version),
    personalData,
    rules: [...running, ...DEFAULT_REDACTION.rules.filter(({ id }) => !known.has(id))],
    changedAt: row.changedAt.toISOString(),
    changedBy: row.changedBy,
  };
}

/**
 * A tenant may not choose the id of a built-in rule: marks and counts would not tell them apart. Said when rules are
 * changed alone: those that were there before a release took the id go on running.
 */
function refuseTakenIds(rules: readonly RedactionRule[]): void {
  for (const { id, source } of rules) {
    if (source === 'tenant' && BUILTIN_IDS.has(id))
      throw new RedactionRuleError(id, `${id} is the id of a built-in rule: choose another for yours`);
  }
}

function told(rule: RedactionRule | undefined): string {
  return JSON.stringify(rule && { ...rule, name: '' });
}

/** Rules by id, no patterns: those may hold what they look for. */
function differences(before: readonly RedactionRule[], after: readonly RedactionRule[]): Record<string, string[]> {
  const old = new Map(before.map((rule) => [rule.id, rule]));
  const now = new Map(after.map((rule) => [rule.id, rule]));
  return {
    added: [...now.keys()].filter((id) => !old.has(id)),
    removed: [...old.keys()].filter((id) => !now.has(id)),
    changed: [...now.keys()].filter((id) => old.has(id) && told(old.get(id)) !== told(now.get(id))),
  };
}

/** `attributes` keep their keys' rules; everything else is redacted as JSON is. */
function redactedParts(redaction: Redaction, content: Json): Json {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return redaction.redactJson(content);
  const after: { [key: string]: Json } = {};
  for (const [part, value] of Object.entries(content)) {
    const isAttributes = part === 'attributes' && typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isAttributes) after[part] = { ...redaction.redactAttributes(value as Attributes) };
    else if (part === 'events' && Array.isArray(value))
      after[part] = value.map((event) => redactedParts(redaction, event));
    else after[part] = redaction.redactJson(value);
  }
  return after;
}
