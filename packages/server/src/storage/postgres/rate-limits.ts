// SQL of the rate limiter's counters beyond what its library asks.
import type { Sql } from '../database.ts';

/** As the owner: counters whose window has ended; how many there were. */
export async function deleteEndedWindows(sql: Sql, nowMs: number): Promise<number> {
  const { rowCount } = await sql.query(
    `
      delete from rate_limits
      where expire < $1
    `,
    [nowMs],
  );
  return rowCount;
}
