// What calls cost here: the table in use, each tenant's overrides in front of it, and what a call would cost.
import {
  bundledPrices,
  bundledTableInfo,
  isPriced,
  PriceBook,
  type Call,
  type PriceOverride,
} from '@lumatrace/telemetry';
import {
  compileNewOverride,
  MAX_OVERRIDES,
  MAX_OVERRIDES_PROGRAM,
  OverrideError,
} from '@lumatrace/telemetry/prices/overrides.ts';
import { audit } from '../access/audit.ts';
import type { Principal } from '../access/principal.ts';
import type { Database } from '../storage/database.ts';
import { insertOverrides, readInstalledTable, readOverrides } from '../storage/postgres/prices.ts';
import { PricesRefusal } from './refusal.ts';
import { readTable } from './table.ts';

export interface PricesOptions {
  database: Database;
  nowMs?: () => number;
}

export interface TableInfo {
  source: string;
  version: string;
  sha256: string;
  models: number;
  /** Null: the table of the release. */
  installedAt: Date | null;
  installedBy: string | null;
}

export interface PricesShown {
  /** Name of the table and of the overrides, as spans carry it. */
  priceVersion: string;
  table: TableInfo;
  overridesVersion: number;
  overrides: PriceOverride[];
  changedAt: Date | null;
  changedBy: string | null;
}

export interface Prices {
  /** The tenant's book; a change shows within five seconds in every process. */
  bookOf(tenantId: string): Promise<PriceBook>;
  read(tenantId: string): Promise<PricesShown>;
  /**
   * Puts `overrides` in place of those of `overridesVersion`; the audit line is in the same transaction.
   * Throws PricesRefusal CONFLICT when another change came first, VALIDATION_FAILED for an override that cannot be used.
   */
  write(
    principal: Pick<Principal, 'tenantId' | 'subject'>,
    requestId: string,
    change: { overridesVersion: number; overrides: readonly PriceOverride[] },
  ): Promise<PricesShown>;
  /** The tenant's book, or one with `overrides` that are not saved. */
  bookWith(tenantId: string, overrides: readonly PriceOverride[] | undefined): Promise<PriceBook>;
}

const FRESH_MS = 5_000;
const MAX_REMEMBERED = 1_000;

interface Remembered {
  book: Promise<PriceBook>;
  staleAtMs: number;
}

export function createPrices({ database, nowMs = Date.now }: PricesOptions): Prices {
  const books = new Map<string, Remembered>();
  const compiled = new Map<string, { version: number; base: PriceBook; book: PriceBook }>();
  const table = tableReader(database, nowMs);

  async function load(tenantId: string): Promise<PriceBook> {
    const [base, { version, overrides }] = await Promise.all([
      table().then(({ book }) => book),
      database.inTenant(tenantId, (sql) => readOverrides(sql, tenantId)),
    ]);
    if (overrides.length === 0) return base;
    // compiled anew only when something changed: patterns cost time, and a book remembers what it has looked up
    const known = compiled.get(tenantId);
    if (known?.version === version && known.base === base) return known.book;
    const book = base.with({ version: String(version), list: overrides });
    if (compiled.size >= MAX_REMEMBERED) compiled.clear();
    compiled.set(tenantId, { version, base, book });
    return book;
  }

  function bookOf(tenantId: string): Promise<PriceBook> {
    const known = books.get(tenantId);
    if (known !== undefined && nowMs() < known.staleAtMs) return known.book;
    if (books.size >= MAX_REMEMBERED) books.clear();
    const book = load(tenantId);
    const entry = { book, staleAtMs: nowMs() + FRESH_MS };
    books.set(tenantId, entry);
    book.catch(() => {
      if (books.get(tenantId) === entry) books.delete(tenantId);
    });
    return book;
  }

  async function read(tenantId: string): Promise<PricesShown> {
    const [{ info, book }, row] = await Promise.all([
      table(),
      database.inTenant(tenantId, (sql) => readOverrides(sql, tenantId)),
    ]);
    const { version, overrides, createdAt, createdBy } = row;
    const priceVersion = book.with({ version: String(version), list: overrides }).version;
    return {
      priceVersion,
      table: info,
      overridesVersion: version,
      overrides,
      changedAt: createdAt,
      changedBy: createdBy,
    };
  }

  return {
    bookOf,
    read,
    async write({ tenantId, subject }, requestId, { overridesVersion, overrides }) {
      checkOverrides(overrides);
      await database.inTenant(tenantId, async (sql) => {
        const current = await readOverrides(sql, tenantId);
        const version = overridesVersion + 1;
        const isWritten =
          current.version === overridesVersion &&
          (await insertOverrides(sql, tenantId, { version, overrides, by: subject }));
        if (!isWritten) {
          throw new PricesRefusal('CONFLICT', 'The prices were changed by somebody else: read them again.');
        }
        await audit(sql, {
          tenantId,
          actor: subject,
          action: 'prices.write',
          object: `prices:${version}`,
          outcome: 'done',
          requestId,
          detail: { version, overrides: overrides.length, before: current.overrides.length },
        });
      });
      books.delete(tenantId);
      return read(tenantId);
    },
    async bookWith(tenantId, overrides) {
      if (overrides === undefined) return bookOf(tenantId);
      checkOverrides(overrides);
      const { book } = await table();
      return book.with({ version: 'unsaved', list: overrides });
    },
  };
}

function checkOverrides(overrides: readonly PriceOverride[]): void {
  if (overrides.length > MAX_OVERRIDES)
    throw new PricesRefusal('VALIDATION_FAILED', `Expected at most ${MAX_OVERRIDES} overrides.`);
  const ids = new Set<string>();
  let program = 0;
  for (const [i, override] of overrides.entries()) {
    if (ids.has(override.id))
      throw new PricesRefusal('VALIDATION_FAILED', `overrides[${i}].id: "${override.id}" is there twice.`);
    ids.add(override.id);
    try {
      program += compileNewOverride(override).program;
    } catch (error) {
      if (!(error instanceof OverrideError)) throw error;
      throw new PricesRefusal('VALIDATION_FAILED', `overrides[${i}].${error.field}: ${error.message}.`);
    }
    if (program > MAX_OVERRIDES_PROGRAM) {
      throw new PricesRefusal(
        'VALIDATION_FAILED',
        `overrides[${i}].model.regex: Expected at most ${MAX_OVERRIDES_PROGRAM} steps of all patterns together; use starts_with or a simpler pattern.`,
      );
    }
  }
}

interface TableInUse {
  info: TableInfo;
  book: PriceBook;
}

/** The table that counts, compiled once for each that is installed; looked for again after a few seconds. */
function tableReader(database: Database, nowMs: () => number): () => Promise<TableInUse> {
  let compiled: { tableId: string | null; use: TableInUse } | undefined;
  let reading: Promise<TableInUse> | undefined;
  let staleAtMs = 0;

  async function look(): Promise<TableInUse> {
    const installed = await database.inLookup('prices', readInstalledTable);
    const tableId = installed?.tableId ?? null;
    if (compiled?.tableId === tableId) return compiled.use;
    if (installed === undefined) {
      const { source, version, sha256 } = bundledTableInfo();
      const book = bundledPrices();
      const use = {
        info: { source, version, sha256, models: book.modelCount, installedAt: null, installedBy: null },
        book,
      };
      compiled = { tableId: null, use };
      return use;
    }
    const book = new PriceBook(await readTable(database, installed));
    const { source, version, sha256, models, installedAt, installedBy } = installed;
    compiled = { tableId, use: { info: { source, version, sha256, models, installedAt, installedBy }, book } };
    return compiled.use;
  }

  return () => {
    if (reading !== undefined && nowMs() < staleAtMs) return reading;
    staleAtMs = nowMs() + FRESH_MS;
    const now = look();
    reading = now;
    now.catch(() => {
      if (reading === now) reading = undefined;
    });
    return now;
  };
}

export interface Quote {
  costPico: bigint | null;
  components: Array<{ unit: string; quantity: number; usd: string; per: number; costPico: bigint }>;
  priceVersion: string;
  /** Which rule priced it, in a sentence; or why nothing did. */
  why: string;
  unpricedReason: string | null;
  providerId: string | null;
  modelId: string | null;
  overrideId: string | null;
}

const RULES: Record<string, string> = {
  equals: 'is',
  starts_with: 'starts with',
  ends_with: 'ends with',
  contains: 'contains',
  regex: 'matches',
};

/** What one call costs, and by which rule. */
export function quote(book: PriceBook, call: Call, overrides: readonly PriceOverride[]): Quote {
  const price = book.price(call);
  if (!isPriced(price)) {
    return {
      costPico: null,
      components: [],
      priceVersion: book.version,
      why:
        price.unpriced === 'too_many_models'
          ? 'So many new names of models came that the overrides were not tried on this one: ask again in ten seconds.'
          : `No override applies, and the table has no price: ${price.unpriced.replaceAll('_', ' ')}.`,
      unpricedReason: price.unpriced,
      providerId: null,
      modelId: null,
      overrideId: null,
    };
  }
  const { costPico, components, priceVersion, providerId, modelId, overrideId = null } = price;
  const override = overrides.find(({ id }) => id === overrideId);
  return {
    costPico,
    components,
    priceVersion,
    why:
      override === undefined
        ? `No override applies; the table knows the model as ${modelId} of ${providerId}.`
        : sentenceOf(override, overrides.indexOf(override)),
    unpricedReason: null,
    providerId,
    modelId,
    overrideId,
  };
}

function sentenceOf({ model, provider, serviceTier, from, until }: PriceOverride, position: number): string {
  const [kind = '', text = ''] = Object.entries(model)[0] ?? [];
  const conditions = [
    `the model ${RULES[kind] ?? kind} "${String(text)}"`,
    ...(provider === undefined ? [] : [`the provider is ${provider}`]),
    ...(serviceTier === undefined ? [] : [serviceTier === '*' ? 'the tier is any' : `the tier is ${serviceTier}`]),
    ...(from === undefined ? [] : [`it began at or after ${from}`]),
    ...(until === undefined ? [] : [`it began before ${until}`]),
  ];
  return `Override ${position + 1} applies, the first that does: ${conditions.join(', ')}.`;
}
