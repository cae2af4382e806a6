// A moment that a caller wrote, as parser, database and answers all can read it.
import { Problem } from './errors.ts';

/**
 * ISO 8601 with an offset, checked by its schema before. PostgreSQL knows no offset of 16 hours or more and no year 0; past
 * 9999 a year has a sign that our own answers may not have.
 * @throws Problem VALIDATION_FAILED for moments outside the years 1 to 9999.
 */
export function momentOf(name: string, text: string): Date {
  const moment = new Date(text);
  const year = moment.getUTCFullYear();
  if (year >= 1 && year <= 9_999) return moment;
  throw new Problem('VALIDATION_FAILED', `Expected ${name} in the years 1 to 9999 but received ${text}.`);
}
