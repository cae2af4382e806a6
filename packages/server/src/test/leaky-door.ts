// The fault that a pooler brings out, for rehearsals: the tenant is set for the session, and each statement goes by itself.
import type pg from 'pg';
import type { Database, Sql } from '../storage/database.ts';

/** A door like the program's, but with `set_config(…, false)` and no transaction around it. */
export function sessionDoor(pool: pg.Pool): Pick<Database, 'inTenant' | 'inLookup'> {
  const within =
    (setting: string) =>
    async <T>(value: string, work: (sql: Sql) => Promise<T>): Promise<T> => {
      const client = await pool.connect();
      try {
        await client.query('select set_config($1, $2, false)', [setting, value]);
        const query = (text: string, values: readonly unknown[] = []): Promise<unknown> =>
          client.query(text, [...values]);
        return await work({ door: pool, query: query as Sql['query'] });
      } finally {
        client.release();
      }
    };
  return { inTenant: within('app.tenant'), inLookup: within('app.lookup') };
}
