// Ordinary work before the attacks, so that what a server holds once it has worked does not count as growth.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { traceOf } from './parties.ts';
import { protectShot, verifyShot } from './picture-form.ts';
import { exampleOf, pathWith, queryWith } from './routes.ts';
import type { Stage } from './scene.ts';
import { send, type Shot } from './shot.ts';

const PHOTO = fileURLToPath(new URL('../../../../fixtures/photos/dandelion.jpg', import.meta.url));
const AT_ONCE = 12;
/** A tenth of what the attacks send; the young generation has filled several times by then. */
const ROUNDS = 150;
const PICTURES = 16;
const SETTLE_MS = 2_000;

/** Reads of every route, small writes, spans, and photographs as many at once as the attacks have under way. */
export async function warmUp(stage: Stage): Promise<void> {
  const { target, routes, own } = stage;
  const headers = { authorization: `Bearer ${own.apiKey}` };
  const reads = routes
    .filter(({ method, isForPersons }) => method === 'GET' && !isForPersons)
    .map((route): Shot => ({ method: 'GET', path: pathWith(route, 'x') + queryWith(route), headers }));
  const json = { ...headers, 'content-type': 'application/json' };
  const quotes = routes
    .filter(({ path }) => path === '/api/prices/quote' || path === '/api/redaction/try')
    .map(({ path, body }): Shot => ({
      method: 'POST',
      path,
      headers: json,
      body: JSON.stringify(exampleOf(body ?? {})),
    }));
  const spans = Array.from({ length: 20 }, (): Shot => ({
    method: 'POST',
    at: 'otlp',
    path: '/v1/traces',
    headers: json,
    body: JSON.stringify(traceOf('warm').body),
  }));
  const rounds = Math.max(5, Math.min(ROUNDS, stage.most));
  const shots = Array.from({ length: rounds }, () => [...reads, ...quotes, ...spans]).flat();
  const photo = readFileSync(PHOTO);
  const pictures = Array.from({ length: Math.min(PICTURES, rounds) }, (_, i) =>
    i % 4 === 0 ? protectShot(headers, photo) : verifyShot(headers, photo, own.ids['photoId'] ?? ''),
  );
  const queue = [...shots, ...pictures];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let shot = queue.pop(); shot !== undefined; shot = queue.pop()) {
        await send(shot.at === 'otlp' ? target.otlp : target.http, shot);
      }
    }),
  );
  await sleep(SETTLE_MS);
}
