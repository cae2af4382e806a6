// The binary arrays are read back by PostgreSQL itself, the only judge of its format.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { testDatabase } from '../../test/harness.ts';
import {
  arrayLiteral,
  bigints,
  booleans,
  byteas,
  dates,
  integers,
  ints,
  numerics,
  smallints,
  texts,
  uuids,
} from './binary.ts';

const db = await testDatabase();
after(() => db.close());

/** The elements as PostgreSQL prints them. */
async function readBack(array: Buffer, type: string): Promise<(string | null)[]> {
  const { rows } = await db.database.inSystem((sql) =>
    sql.query<{ value: string | null }>(`select value::text from unnest($1::${type}[]) as value`, [array]),
  );
  return rows.map(({ value }) => value);
}

const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0') && value.isWellFormed());

const CASES: Array<{
  type: string;
  write: (values: never[]) => Buffer;
  values: fc.Arbitrary<unknown>;
  print: (value: never) => string | null;
}> = [
  {
    type: 'int8',
    write: bigints,
    values: fc.option(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
    print: (v: bigint | null) => (v === null ? null : String(v)),
  },
  {
    type: 'int8',
    write: integers,
    values: fc.option(fc.maxSafeInteger()),
    print: (v: number | null) => (v === null ? null : String(v)),
  },
  { type: 'int4', write: ints, values: fc.integer(), print: String },
  { type: 'int2', write: smallints, values: fc.integer({ min: -32_768, max: 32_767 }), print: String },
  { type: 'bool', write: booleans, values: fc.boolean(), print: String },
  {
    type: 'date',
    write: dates,
    values: fc.integer({ min: 0, max: 40_000 }),
    print: (v: number) => new Date(v * 86_400_000).toISOString().slice(0, 10),
  },
  {
    type: 'uuid',
    write: uuids,
    values: fc.uuid().map((id) => id.replaceAll('-', '')),
    print: (v: string) => v.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
  },
  { type: 'text', write: texts, values: fc.option(text), print: (v: string | null) => v },
  {
    type: 'bytea',
    write: byteas,
    values: fc.uint8Array(),
    print: (v: Uint8Array) => `\\x${Buffer.from(v).toString('hex')}`,
  },
  { type: 'numeric', write: numerics, values: fc.bigInt(-(10n ** 40n), 10n ** 40n), print: String },
];

for (const { type, write, values, print } of CASES) {
  test(`PostgreSQL reads what ${write.name} writes as ${type}[]`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(values, { maxLength: 30 }), async (list) => {
        assert.deepEqual(
          await readBack(write(list as never[]), type),
          list.map((value) => print(value as never)),
        );
      }),
      { numRuns: 40 },
    );
  });
}

test('an array inside an element is read back whole, quotes and braces included', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 8 }), async (list) => {
      const { rows } = await db.database.inSystem((sql) =>
        sql.query<{ value: string[] }>('select value::text[] from unnest($1::text[]) as value', [
          texts([arrayLiteral(list)]),
        ]),
      );
      assert.deepEqual(rows[0]?.value, list);
    }),
    { numRuns: 60 },
  );
});
