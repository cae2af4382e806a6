// Redaction: what may not be kept is taken out of texts, attributes, spans and log records before anything stores them.
// Pure and synchronous; runs in a browser, in the SDK and in the server. Imports re2js alone, for patterns of tenants.
import { RE2JS } from 're2js';
import { contextOf, rereadSpan } from './otlp/build.ts';
import type { LogRecord } from './otlp/logs.ts';
import type { Detector } from './redaction/detector.ts';
import { hmacSha256Hex } from './redaction/hmac.ts';
import { mayBeJson, redactJsonText, unescaped } from './redaction/json-text.ts';
import { PERSONAL } from './redaction/personal.ts';
import { MAY_BE_PERSONAL, MAY_BE_SECRET, mayHold, NAMES_SECRET, type Prefilter } from './redaction/prefilter.ts';
import { findAll, settle, type Action, type ActiveRule, type Found } from './redaction/scan.ts';
import { isSecretValue, NAMED_SECRET, namesPassword, namesSecret, SECRETS } from './redaction/secrets.ts';
import type { Attributes, AttributeValue, Json, Span, SpanContext, SpanEvent, SpanLink } from './span.ts';

export type RedactionAction = Action;

export interface RedactionRule {
  /** Of a built-in rule the detector's id; of a tenant's what it chose: 1 to 40 of `a-z 0-9 -`. */
  id: string;
  name: string;
  source: 'builtin' | 'tenant';
  /** Id of the built-in detector. */
  detector?: string;
  /** RE2 syntax, of a tenant's rule. */
  pattern?: string;
  action: RedactionAction;
  enabled: boolean;
  /** Glob (`*`, `?`) of the attribute keys that the rule is for; absent: every text, names and messages too. */
  keys?: string;
}

export interface RedactionRules {
  version: string;
  /** Whether the enabled rules for personal data run; those for secrets run always. */
  personalData: boolean;
  rules: RedactionRule[];
}

export interface RedactionHit {
  ruleId: string;
  count: number;
}

export interface RedactionOptions {
  /** Key of the action hash (HMAC-SHA-256): equal values give equal marks under one key. Without it values are masked. */
  hashKey?: Uint8Array;
  /** Told of everything that is taken out. */
  onHit?: (ruleId: string, count: number) => void;
}

export interface Redaction {
  readonly version: string;
  redactText(text: string): { text: string; hits: RedactionHit[] };
  redactJson(value: Json): Json;
  redactAttributes(attributes: Attributes): Attributes;
  /** The same span (===) where nothing was taken out; else a new one, read again from what is left. */
  redactSpans(spans: Span[]): Span[];
  redactLogs(records: LogRecord[]): LogRecord[];
}

/** A bad rule: which, and what to do. */
export class RedactionRuleError extends Error {
  override readonly name = 'RedactionRuleError';
  readonly code = 'VALIDATION_FAILED';
  readonly ruleId: string;

  constructor(ruleId: string, message: string) {
    super(message);
    this.ruleId = ruleId;
  }
}

/** Rules that no prefix gives away, but a run beside a word, or its form. */
const RUN_RULES: ReadonlySet<string> = new Set(['authorization', 'aws-secret', 'it-codice-fiscale']);
const DETECTORS: readonly Detector[] = [...SECRETS, NAMED_SECRET, ...PERSONAL];
const DETECTOR_BY_ID = new Map(DETECTORS.map((detector) => [detector.id, detector]));

/** The built-in detectors, for people: what each is called and catches. */
export const REDACTION_DETECTORS: readonly {
  id: string;
  name: string;
  kind: 'secret' | 'personal';
  example: string;
}[] = DETECTORS.map(({ id, name, kind, example }) => ({ id, name, kind, example }));

/** Secrets are masked, personal data is left: what holds for a tenant that said nothing. */
export const DEFAULT_REDACTION: RedactionRules = {
  version: 'default-1',
  personalData: false,
  rules: DETECTORS.map(({ id, name, offByDefault }) => ({
    id,
    name,
    source: 'builtin',
    detector: id,
    action: 'mask',
    enabled: offByDefault !== true,
  })),
};

export const MAX_TENANT_RULES = 50;
export const MAX_PATTERN_CHARACTERS = 1_000;
/**
 * Instructions of RE2's programs, of all enabled rules together: a character takes at most so many steps. Measured with
 * re2js 2.10: simple patterns 5 to 500 MB/s, one of 863 instructions 2 MB/s.
 */
export const MAX_PATTERN_PROGRAM = 1_000;
/** Of all patterns of a tenant in one request: those in force take 0.5 MB/s at worst, 5 to 500 MB/s as they usually are. */
const OWN_BUDGET_MS = 3_000;
/** What a pattern finds across the edge of two windows is at most so long. */
const WINDOW = 131_072;
const WINDOW_OVERLAP = 4_096;
const MAX_KEYS_CHARACTERS = 200;
const RULE_ID = /^[a-z0-9][a-z0-9-]{0,39}$/;
const HASH_DIGITS = 16;
/** Shorter texts hold nothing that a built-in rule finds. */
const MIN_SECRET_CHARACTERS = 6;
/** What a pass left may show something that was hidden before; more passes than this change nothing in practice. */
const MAX_PASSES = 6;
const MAX_DEPTH = 12;
/** Of lists and members in each other; the decoders take 32. What lies deeper is taken out whole. */
const MAX_VALUE_DEPTH = 64;
const TOO_DEEP = 'too-deep';
/** Texts that come again within one request are looked at once. */
const MAX_REMEMBERED = 4_096;
const MAX_REMEMBERED_CHARACTERS = 4_096;
const MAX_KEY_CHARACTERS = 200;
const MAX_JOINED_CHARACTERS = 1_048_576;
/** A picture or sound in a text is none: longer ones are passed over. */
const BINARY_URL =
  /data:(?:image|audio|video|font|application\/(?:pdf|zip|gzip|octet-stream))[\w./+-]{0,80}(?:;[\w=.-]{1,60}){0,3};base64,[A-Za-z0-9+/]{64,}={0,2}/g;

/**
 * Makes the rules ready to run. Rules that are not there (a built-in rule of a later version) run as in
 * {@link DEFAULT_REDACTION}, beside a tenant's rule of the same id. @throws RedactionRuleError for a rule that cannot run.
 */
export function compileRedaction(rules: RedactionRules, options: RedactionOptions = {}): Redaction {
  return new Compiled(rules, options);
}

function activeRules({ personalData, rules }: RedactionRules): ActiveRule[] {
  // per source: a later release may bring a built-in rule under an id that a tenant chose before it, then both run
  const ids = { builtin: new Set<string>(), tenant: new Set<string>() };
  let program = 0;
  const active: ActiveRule[] = [];
  const tenantRules = rules.filter(({ source }) => source === 'tenant');
  if (tenantRules.length > MAX_TENANT_RULES) {
    throw new RedactionRuleError('', `Expected at most ${MAX_TENANT_RULES} rules but received ${tenantRules.length}`);
  }
  for (const rule of rules) {
    const known = ids[rule.source === 'tenant' ? 'tenant' : 'builtin'];
    if (known.has(rule.id)) throw new RedactionRuleError(rule.id, `The rule ${rule.id} stands there twice`);
    known.add(rule.id);
    const ready = rule.source === 'tenant' ? tenantRule(rule) : builtinRule(rule, personalData);
    if (ready === undefined || !rule.enabled) continue;
    active.push(ready);
    program += ready.program;
    if (program > MAX_PATTERN_PROGRAM) {
      const most = `at most ${MAX_PATTERN_PROGRAM} steps of all enabled rules together`;
      throw new RedactionRuleError(rule.id, `The pattern of ${rule.id} is too large: expected ${most}`);
    }
  }
  for (const rule of DEFAULT_REDACTION.rules) {
    const ready = ids.builtin.has(rule.id) || !rule.enabled ? undefined : builtinRule(rule, personalData);
    if (ready !== undefined) active.push(ready);
  }
  return active;
}

function builtinRule(rule: RedactionRule, personalData: boolean): ActiveRule | undefined {
  const detector = DETECTOR_BY_ID.get(rule.detector ?? rule.id);
  if (detector === undefined)
    throw new RedactionRuleError(rule.id, `There is no built-in rule ${rule.detector ?? rule.id}`);
  if (detector.id !== rule.id) throw new RedactionRuleError(rule.id, `A built-in rule keeps its id ${detector.id}`);
  const hasKey = keyTest(rule);
  if (detector.kind === 'personal' && !personalData) return undefined;
  return { id: rule.id, action: rule.action, detector, find: undefined, program: 0, hasKey };
}

function tenantRule(rule: RedactionRule): ActiveRule {
  const { id, pattern } = rule;
  if (!RULE_ID.test(id))
    throw new RedactionRuleError(id, 'Expected a rule id of 1 to 40 letters a-z, digits and hyphens');
  const compiled = compiledPattern(id, pattern);
  return {
    id,
    action: rule.action,
    detector: undefined,
    find: placesOf(compiled),
    program: compiled.programSize(),
    hasKey: keyTest(rule),
  };
}

function compiledPattern(id: string, pattern: string | undefined): RE2JS {
  if (pattern === undefined || pattern === '') throw new RedactionRuleError(id, `The rule ${id} has no pattern`);
  if (pattern.length > MAX_PATTERN_CHARACTERS) {
    throw new RedactionRuleError(
      id,
      `Expected a pattern of at most ${MAX_PATTERN_CHARACTERS} characters for the rule ${id}`,
    );
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    throw new RedactionRuleError(id, `The pattern of ${id} is not RE2 syntax: ${(error as Error).message}`);
  }
  if (compiled.matcher('').find()) throw new RedactionRuleError(id, `The pattern of ${id} matches the empty text`);
  return compiled;
}

function placesOf(pattern: RE2JS): (text: string) => Iterable<readonly [number, number]> {
  return function* places(text) {
    const matcher = pattern.matcher(text);
    while (matcher.find()) yield [matcher.start(), matcher.end()];
  };
}

function keyTest({ id, keys }: RedactionRule): ((key: string) => boolean) | undefined {
  if (keys === undefined || keys === '' || keys === '*') return undefined;
  if (keys.length > MAX_KEYS_CHARACTERS) {
    throw new RedactionRuleError(id, `Expected keys of at most ${MAX_KEYS_CHARACTERS} characters for the rule ${id}`);
  }
  const source = keys
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*+/g, '.*')
    .replaceAll('?', '.');
  const glob = RE2JS.compile(`^(?s:${source})$`);
  return (key) => glob.matcher(key).find();
}

/** The rules for the attributes of one kind of key. */
interface Lane {
  secrets: readonly ActiveRule[];
  personal: readonly ActiveRule[];
  own: readonly ActiveRule[];
  tokens: readonly ActiveRule[];
  filter: Prefilter;
  named: ActiveRule | undefined;
  /** Texts of this request in which nothing was found. */
  remembered: Set<string>;
}

function laneOf(rules: readonly ActiveRule[]): Lane {
  const scanned = rules.filter(({ detector }) => detector !== NAMED_SECRET);
  const secrets = scanned.filter(({ detector }) => detector?.kind === 'secret');
  const personal = scanned.filter(({ detector }) => detector?.kind === 'personal');
  return {
    secrets,
    personal,
    own: scanned.filter(({ detector }) => detector === undefined),
    tokens: scanned.filter(({ detector }) => detector?.isToken === true),
    filter: {
      secrets: secrets.length > 0 || rules.length > scanned.length,
      personal: personal.length > 0,
      addresses: personal.some(({ id }) => id === 'ip-address'),
      runs: RUNS,
    },
    named: rules.find(({ detector }) => detector === NAMED_SECRET),
    remembered: new Set(),
  };
}

/** What can stand in a run of characters without spaces: of these a prefix is enough to look closer. */
const RUNS = new RegExp(
  DETECTORS.filter(({ isToken, id }) => isToken === true || RUN_RULES.has(id))
    .map(({ trigger }) => trigger.source)
    .join('|'),
  'i',
);

/** Stands for a text that must go whole. */
class Dropped {
  readonly ruleId: string;

  constructor(ruleId: string) {
    this.ruleId = ruleId;
  }
}

/** What is left of something, and how often which rule took something out of it. */
interface Counted<Result> {
  result: Result;
  hits: ReadonlyMap<string, number>;
}

class Compiled implements Redaction {
  readonly version: string;
  readonly #rules: readonly ActiveRule[];
  readonly #options: RedactionOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #laneByKey = new Map<string, Lane>();
  readonly #namedKeys = new Map<string, boolean>();
  readonly #cleanKeys = new Set<string>();
  readonly #hasKeyRules: boolean;
  readonly #plain: Lane;
  readonly #mark: RegExp;
  #hits = new Map<string, number>();
  /** Milliseconds that the tenant's patterns took in this call. */
  #ownMs = 0;
  readonly #seesNumbers: boolean;

  constructor(rules: RedactionRules, options: RedactionOptions) {
    this.version = rules.version;
    this.#options = options;
    this.#rules = activeRules(rules);
    this.#hasKeyRules = this.#rules.some(({ hasKey }) => hasKey !== undefined);
    this.#plain = laneOf(this.#rules.filter(({ hasKey }) => hasKey === undefined));
    this.#seesNumbers = this.#rules.some(({ detector }) => detector === undefined || detector.kind === 'personal');
    const ids = [...new Set([TOO_DEEP, ...[...DETECTORS, ...rules.rules].map(({ id }) => id)])].join('|');
    this.#mark = new RegExp(`\\[(?:redacted:(?:${ids})|hash:(?:${ids}):[0-9a-f]{${HASH_DIGITS}})\\]`, 'g');
  }

  redactText(text: string): { text: string; hits: RedactionHit[] } {
    this.#hits = new Map();
    const redacted = this.#whole(text, this.#plain);
    const hits = [...this.#hits].map(([ruleId, count]) => ({ ruleId, count }));
    this.#tell();
    return { text: redacted, hits };
  }

  redactJson(value: Json): Json {
    const redacted = this.#json(value, this.#plain, undefined, 0);
    this.#tell();
    return redacted instanceof Dropped ? this.#maskOf(redacted.ruleId) : redacted;
  }

  redactAttributes(attributes: Attributes): Attributes {
    const redacted = this.#attributes(attributes);
    this.#tell();
    return redacted;
  }

  redactSpans(spans: Span[]): Span[] {
    const contexts = new Map<SpanContext, Counted<SpanContext>>();
    const redacted = spans.map((span) => this.#span(span, this.#contextFor(span.context, contexts)));
    this.#forget();
    return redacted;
  }

  redactLogs(records: LogRecord[]): LogRecord[] {
    const contexts = new Map<SpanContext, Counted<SpanContext>>();
    const redacted = records.map((record) => this.#log(record, this.#contextFor(record.context, contexts)));
    this.#forget();
    return redacted;
  }

  #forget(): void {
    this.#tell();
    this.#plain.remembered.clear();
    for (const lane of this.#lanes.values()) lane.remembered.clear();
  }

  #tell(): void {
    const { onHit } = this.#options;
    if (onHit !== undefined) for (const [ruleId, count] of this.#hits) onHit(ruleId, count);
    this.#hits = new Map();
    this.#ownMs = 0;
  }

  #count(ruleId: string): void {
    this.#hits.set(ruleId, (this.#hits.get(ruleId) ?? 0) + 1);
  }

  /** Runs `work` and says what it took out; the call as a whole counts that too. */
  #counted<Result>(work: () => Result): Counted<Result> {
    const before = this.#hits;
    const hits = new Map<string, number>();
    this.#hits = hits;
    try {
      return { result: work(), hits };
    } finally {
      this.#hits = before;
      for (const [ruleId, count] of hits) before.set(ruleId, (before.get(ruleId) ?? 0) + count);
    }
  }

  #contextFor(context: SpanContext, known: Map<SpanContext, Counted<SpanContext>>): Counted<SpanContext> {
    let redacted = known.get(context);
    if (redacted === undefined) {
      redacted = this.#counted(() => this.#context(context));
      known.set(context, redacted);
    }
    return redacted;
  }

  /** Read again from its attributes, so that service and environment are what is left of them. */
  #context(context: SpanContext): SpanContext {
    const resource = this.#attributes(context.resourceAttributes);
    const attributes = this.#attributes(context.scopeAttributes);
    const name = this.#whole(context.scopeName, this.#plain);
    const version = this.#whole(context.scopeVersion, this.#plain);
    const schemaUrl = this.#whole(context.schemaUrl, this.#plain);
    const isSame =
      resource === context.resourceAttributes &&
      attributes === context.scopeAttributes &&
      name === context.scopeName &&
      version === context.scopeVersion &&
      schemaUrl === context.schemaUrl;
    if (isSame) return context;
    return contextOf(resource, { name, version, attributes }, schemaUrl, context.rawResource, context.rawScope);
  }

  #span(span: Span, { result: context, hits: inContext }: Counted<SpanContext>): Span {
    const { result: parts, hits } = this.#counted(() => ({
      attributes: this.#attributes(span.attributes),
      events: same(span.events, (event) => this.#event(event)),
      links: same(span.links, (link) => this.#link(link)),
      name: this.#whole(span.name, this.#plain),
      statusMessage: this.#whole(span.statusMessage, this.#plain),
      traceState: this.#whole(span.traceState, this.#plain),
    }));
    if (context === span.context && isPartOf(span, parts)) return span;
    const { traceState, ...content } = parts;
    const again = rereadSpan(span, {
      ...content,
      attributes: this.#noted(parts.attributes, hits, inContext),
      context,
    });
    // a list of vendors' state with a hole is none
    again.traceState = traceState === span.traceState ? traceState : '';
    return again;
  }

  /** Which rules, of which version, changed the span or record or what it shares stands beside what they left. */
  #noted(attributes: Attributes, ...hits: readonly ReadonlyMap<string, number>[]): Attributes {
    const noted = Object.assign(Object.create(null) as Attributes, attributes);
    noted[REDACTION_VERSION_KEY] = this.version;
    noted[REDACTION_RULES_KEY] = [...new Set(hits.flatMap((some) => [...some.keys()]))].sort();
    return noted;
  }

  #event(event: SpanEvent): SpanEvent {
    const name = this.#whole(event.name, this.#plain);
    const attributes = this.#attributes(event.attributes);
    return name === event.name && attributes === event.attributes ? event : { ...event, name, attributes };
  }

  #link(link: SpanLink): SpanLink {
    const traceState = this.#whole(link.traceState, this.#plain);
    const attributes = this.#attributes(link.attributes);
    if (traceState === link.traceState && attributes === link.attributes) return link;
    return { ...link, attributes, traceState: traceState === link.traceState ? traceState : '' };
  }

  #log(record: LogRecord, { result: context, hits: inContext }: Counted<SpanContext>): LogRecord {
    const { result: parts, hits } = this.#counted(() => {
      const body = this.#json(record.body, this.#plain, undefined, 0);
      return {
        attributes: this.#attributes(record.attributes),
        body: body instanceof Dropped ? this.#maskOf(body.ruleId) : body,
        eventName: this.#whole(record.eventName, this.#plain),
        severityText: this.#whole(record.severityText, this.#plain),
      };
    });
    if (context === record.context && isPartOf(record, parts)) return record;
    return { ...record, ...parts, context, attributes: this.#noted(parts.attributes, hits, inContext) };
  }

  #attributes(attributes: Attributes): Attributes {
    let changed: Attributes | undefined;
    for (const key in attributes) {
      const value = attributes[key] ?? null;
      const newKey = this.#key(key, this.#plain);
      const newValue = this.#json(value, this.#laneFor(key), key, 0);
      if (newKey === key && newValue === value) continue;
      changed ??= Object.assign(Object.create(null) as Attributes, attributes);
      if (newKey !== key) delete changed[key];
      if (newValue instanceof Dropped) delete changed[key];
      else changed[newKey] = newValue;
    }
    return changed ?? attributes;
  }

  /** Keys come again in every span; what is clean once is so for good. */
  #key(key: string, lane: Lane): string {
    if (lane === this.#plain && this.#cleanKeys.has(key)) return key;
    const redacted = this.#whole(key, lane);
    if (
      redacted === key &&
      lane === this.#plain &&
      this.#cleanKeys.size < MAX_REMEMBERED &&
      key.length <= MAX_KEY_CHARACTERS
    ) {
      this.#cleanKeys.add(key);
    }
    return redacted;
  }

  #laneFor(key: string): Lane {
    if (!this.#hasKeyRules) return this.#plain;
    const known = this.#laneByKey.get(key);
    if (known !== undefined) return known;
    const places = this.#rules.flatMap(({ hasKey }, place) => (hasKey === undefined || hasKey(key) ? [place] : []));
    const signature = places.join(' ');
    const lane = this.#lanes.get(signature) ?? laneOf(places.map((place) => this.#rules[place]!));
    if (this.#lanes.size < MAX_REMEMBERED) this.#lanes.set(signature, lane);
    if (this.#laneByKey.size < MAX_REMEMBERED) this.#laneByKey.set(key, lane);
    return lane;
  }

  #json(value: AttributeValue, lane: Lane, name: string | undefined, depth: number): AttributeValue | Dropped {
    if (typeof value === 'string') return this.#named(value, lane, name) ?? this.#text(value, lane, 0);
    if (typeof value === 'number') return this.#number(String(value), lane, name) ?? value;
    if (value === null || typeof value === 'boolean') return value;
    if (depth > MAX_VALUE_DEPTH) {
      this.#count(TOO_DEEP);
      return this.#maskOf(TOO_DEEP);
    }
    if (Array.isArray(value)) return this.#list(value, lane, name, depth);
    let changed: { [key: string]: Json } | undefined;
    for (const key in value) {
      const member = value[key] ?? null;
      const newKey = this.#key(key, lane);
      const redacted = this.#json(member, lane, key, depth + 1);
      if (newKey === key && redacted === member) continue;
      changed ??= { ...value };
      if (newKey !== key) delete changed[key];
      if (redacted instanceof Dropped) delete changed[key];
      else
        Object.defineProperty(changed, newKey, {
          value: redacted,
          enumerable: true,
          configurable: true,
          writable: true,
        });
    }
    return changed ?? value;
  }

  #list(list: Json[], lane: Lane, name: string | undefined, depth: number): Json[] | Dropped {
    const joined = this.#joined(list, lane);
    const redacted = same(joined, (item): Json => {
      const out = this.#json(item, lane, name, depth + 1);
      return out instanceof Dropped ? this.#maskOf(out.ruleId) : out;
    });
    return redacted;
  }

  /** A token that was cut into pieces of one list: its first piece takes the mark, the others lose their share. */
  #joined(list: Json[], lane: Lane): Json[] {
    if (list.length < 2 || lane.tokens.length === 0 || !list.every((item) => typeof item === 'string')) return list;
    let result: string[] = list;
    // chunks of a stream, then lines
    for (const separator of ['', '\n']) {
      const text = result.join(separator);
      if (text.length > MAX_JOINED_CHARACTERS || !lane.tokens.some(({ detector }) => detector!.trigger.test(text)))
        continue;
      result = this.#cutOut(result, separator.length, settle(findAll(text, lane.tokens)), text);
    }
    return result;
  }

  /** Takes out what spans two pieces or more; places and pieces are both in order, and each is looked at once. */
  #cutOut(pieces: string[], gap: number, places: readonly Found[], text: string): string[] {
    let result = pieces;
    let next = 0;
    let start = 0;
    let isOpen = false;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i]!;
      const end = start + piece.length;
      let out = '';
      let done = start;
      // over the places that reach into this piece
      for (; next < places.length && places[next]!.start < end; next++) {
        const place = places[next]!;
        // inside one piece it is found again by itself
        if (!isOpen && place.end <= end) continue;
        if (!isOpen) {
          this.#count(place.rule.id);
          out += text.slice(done, place.start) + this.#markFor(place.rule, text.slice(place.start, place.end));
        }
        done = Math.min(end, place.end);
        isOpen = place.end > end;
        if (isOpen) break;
      }
      if (done > start || out !== '') {
        if (result === pieces) result = [...pieces];
        result[i] = out + text.slice(done, end);
      }
      start = end + gap;
      // what ends in the gap is over
      if (isOpen && places[next]!.end <= start) {
        isOpen = false;
        next++;
      }
    }
    return result;
  }

  #named(value: string, lane: Lane, name: string | undefined): string | Dropped | undefined {
    const rule = lane.named;
    if (rule === undefined || name === undefined || !this.#isNamed(name) || !isSecretValue(value, name))
      return undefined;
    if (value.replace(this.#mark, '').trim() === '') return undefined;
    // a whole answer or object under such a name is looked into instead
    if (mayBeJson(value) && value[0] !== '"') return undefined;
    this.#count(rule.id);
    return rule.action === 'drop' ? new Dropped(rule.id) : this.#markFor(rule, value);
  }

  #isNamed(name: string): boolean {
    let isNamed = this.#namedKeys.get(name);
    if (isNamed === undefined) {
      isNamed = name.length <= 300 && namesSecret(name);
      if (this.#namedKeys.size < MAX_REMEMBERED) this.#namedKeys.set(name, isNamed);
    }
    return isNamed;
  }

  /** Numbers that people are known by are long; counts and moments of this century in milliseconds hold no check digits. */
  #number(digits: string, lane: Lane, name: string | undefined): string | Dropped | undefined {
    if (name !== undefined && lane.named !== undefined && digits.length >= 4 && namesPassword(name)) {
      return this.#named(digits, lane, name);
    }
    if (!this.#seesNumbers || digits.length < 8 || !/^\d+$/.test(digits)) return undefined;
    const redacted = this.#text(digits, lane, 0);
    return redacted === digits ? undefined : redacted;
  }

  /** A text that has no holder to be dropped from. */
  #whole(text: string, lane: Lane): string {
    const redacted = this.#text(text, lane, 0);
    return redacted instanceof Dropped ? this.#maskOf(redacted.ruleId) : redacted;
  }

  #text(text: string, lane: Lane, depth: number): string | Dropped {
    if (text.length < MIN_SECRET_CHARACTERS && lane.own.length === 0) return text;
    const may = hasEscapes(text) ? EVERYTHING : mayHold(text, lane.filter);
    if (may === 0 && lane.own.length === 0) return text;
    // only texts without findings are remembered: each finding counts
    if (lane.remembered.has(text)) return text;
    const redacted = this.#anyText(text, lane, depth);
    if (redacted === text && text.length <= MAX_REMEMBERED_CHARACTERS && lane.remembered.size < MAX_REMEMBERED) {
      lane.remembered.add(text);
    }
    return redacted;
  }

  #anyText(text: string, lane: Lane, depth: number): string | Dropped {
    if (depth <= MAX_DEPTH && mayBeJson(text)) {
      const json = redactJsonText(text, {
        text: (value, name) => {
          const redacted = this.#named(value, lane, name) ?? this.#text(value, lane, depth + 1);
          if (redacted instanceof Dropped) return this.#maskOf(redacted.ruleId);
          return redacted === value ? undefined : redacted;
        },
        number: (digits, name) => {
          const redacted = this.#number(digits, lane, name);
          return redacted instanceof Dropped ? this.#maskOf(redacted.ruleId) : redacted;
        },
      });
      if (json !== undefined) return json;
    }
    return this.#plainText(text, lane);
  }

  #plainText(text: string, lane: Lane): string | Dropped {
    let current = text;
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const next = this.#onePass(current, lane);
      if (next instanceof Dropped || next === current) return next;
      current = next;
    }
    return current;
  }

  /** Between the marks and pictures that stand in it already. */
  #onePass(text: string, lane: Lane): string | Dropped {
    let out = '';
    let done = 0;
    for (const [start, end] of this.#passedOver(text)) {
      const before = this.#stretch(text.slice(done, start), lane);
      if (before instanceof Dropped) return before;
      out += before + text.slice(start, end);
      done = end;
    }
    const rest = this.#stretch(done === 0 ? text : text.slice(done), lane);
    return rest instanceof Dropped ? rest : out + rest;
  }

  #passedOver(text: string): (readonly [number, number])[] {
    const places: (readonly [number, number])[] = [];
    const add = (pattern: RegExp): void => {
      for (const { 0: found, index } of text.matchAll(pattern)) places.push([index, index + found.length]);
    };
    if (text.includes('[redacted:') || text.includes('[hash:')) add(this.#mark);
    if (text.includes(';base64,')) {
      add(BINARY_URL);
      places.sort(([a], [b]) => a - b);
    }
    return places;
  }

  #stretch(text: string, lane: Lane): string | Dropped {
    if (text.length === 0) return text;
    const found = [...findAll(text, rulesFor(text, lane)), ...this.#ownFound(text, lane)];
    const decoded = unescaped(text);
    const written = decoded?.text ?? text;
    // What escapes hide is found in the decoded form and taken out where it was written.
    if (decoded !== undefined) {
      const hidden = [...findAll(written, rulesFor(written, lane)), ...this.#ownFound(written, lane)];
      for (const { start, end, rule } of hidden) {
        found.push({ start: decoded.at(start), end: decoded.at(end), rule });
      }
    }
    if (found.length === 0) return text;
    const places = settle(found);
    const drop = places.find(({ rule }) => rule.action === 'drop');
    for (const { rule } of places) this.#count(rule.id);
    if (drop !== undefined) return new Dropped(drop.rule.id);
    let out = '';
    let done = 0;
    for (const { start, end, rule } of places) {
      const value =
        written === text ? text.slice(start, end) : (unescaped(text.slice(start, end))?.text ?? text.slice(start, end));
      out += text.slice(done, start) + this.#markFor(rule, value);
      done = end;
    }
    return out + text.slice(done);
  }

  /**
   * What the tenant's patterns find, a window at a time. When they have had their time in this call, what they did not
   * look at is taken out whole: nobody waits for them, and nothing passes them by.
   */
  #ownFound(text: string, lane: Lane): Found[] {
    const [first] = lane.own;
    if (first === undefined) return [];
    const found: Found[] = [];
    for (let at = 0; at < text.length; at += WINDOW) {
      if (this.#ownMs > OWN_BUDGET_MS) return [...found, { start: at, end: text.length, rule: first }];
      const startMs = performance.now();
      for (const { start, end, rule } of findAll(text.slice(at, at + WINDOW + WINDOW_OVERLAP), lane.own)) {
        found.push({ start: start + at, end: end + at, rule });
      }
      this.#ownMs += performance.now() - startMs;
    }
    return found;
  }

  #maskOf(ruleId: string): string {
    return `[redacted:${ruleId}]`;
  }

  #markFor({ id, action, detector }: ActiveRule, value: string): string {
    const { hashKey } = this.#options;
    if (action !== 'hash' || hashKey === undefined) return this.#maskOf(id);
    const canonical = detector?.canonical?.(value) ?? value;
    const message = new TextEncoder().encode(`${id}\0${canonical}`);
    return `[hash:${id}:${hmacSha256Hex(hashKey, message).slice(0, HASH_DIGITS)}]`;
  }
}

/** Attributes that say what changed a span: the version of the rules, and which of them. */
export const REDACTION_VERSION_KEY = 'lumatrace.redaction.version';
export const REDACTION_RULES_KEY = 'lumatrace.redaction.rules';

const EVERYTHING = MAY_BE_SECRET | MAY_BE_PERSONAL | NAMES_SECRET;

/** A colon, equals sign, @ or + in percent-encoding: without them nothing that the prefilter looks for is hidden. */
const ENCODED_SIGN = /%(?:25){0,3}(?:3[adAD]|40|2[bB])/;

function hasEscapes(text: string): boolean {
  if (text.includes('\\') && (text.includes('\\u00') || text.includes('\\/') || text.includes('\\x'))) return true;
  return text.includes('%') && ENCODED_SIGN.test(text);
}

function rulesFor(text: string, lane: Lane): readonly ActiveRule[] {
  const may = mayHold(text, lane.filter);
  const rules: ActiveRule[] = [];
  if ((may & MAY_BE_SECRET) !== 0) rules.push(...lane.secrets);
  if ((may & MAY_BE_PERSONAL) !== 0) rules.push(...lane.personal);
  return rules;
}

/** The list with each item mapped; itself (===) when no item changed. */
function same<Item>(list: Item[], map: (item: Item) => Item): Item[] {
  let changed: Item[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = list[i]!;
    const mapped = map(item);
    if (mapped === item) continue;
    changed ??= [...list];
    changed[i] = mapped;
  }
  return changed ?? list;
}

/** Whether the whole has exactly (===) these parts: nothing was taken out of them. */
function isPartOf<Whole extends object>(whole: Whole, parts: Partial<Whole>): boolean {
  return (Object.keys(parts) as (keyof Whole)[]).every((part) => parts[part] === whole[part]);
}
