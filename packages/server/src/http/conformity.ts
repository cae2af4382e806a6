// Tests only: an answer that is not what its route declared is a failure, so that the OpenAPI text cannot drift.
import { isDeepStrictEqual } from 'node:util';
import type { Route } from './route.ts';

/** @throws Error that names the difference. Reads a copy; the answer stays unread. */
export async function conformsToDeclaration(route: Route, response: Response): Promise<void> {
  const name = `${route.method} ${route.path} → ${response.status}`;
  const declared = route.answers[response.status];
  if (declared === undefined) throw new Error(`${name} is not declared.`);
  const type = response.headers.get('content-type') ?? '';
  if (declared.schema === undefined || !type.includes('json')) return;
  const body: unknown = await response.clone().json();
  const parsed = declared.schema.safeParse(body);
  if (!parsed.success) throw new Error(`${name} differs from its schema: ${parsed.error.message}`);
  // Members that the schema does not know were dropped by parsing.
  if (!isDeepStrictEqual(parsed.data, body)) throw new Error(`${name} has members that its schema does not declare.`);
}
