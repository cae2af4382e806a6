// The import arrows of the house as a table with reasons. A breach fails, and so does an arrow that nobody uses.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const STORIES = ['ingest', 'explore', 'photos', 'prices', 'redaction'];

/**
 * room → what it may import → why. Rooms are folders of `packages/server/src` and whole other packages; names that
 * are no room are libraries. `node:*` is open to every room of the server and the CLI, and closed to `telemetry`.
 */
const ARROWS: Record<string, Record<string, string>> = JSON.parse(
  readFileSync(join(ROOT, 'rooms.json'), 'utf8'),
) as Record<string, Record<string, string>>;

interface Import {
  file: string;
  room: string;
  target: string;
}

/** Who may hold the owner's pool: start-up, backup and the queue, none of which is reached by a request. */
const OWNERS = ['main.ts', 'archive.ts', 'jobs/'];
const SERVER_SRC = 'packages/server/src/';
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s+'([^']+)'|(?:^|\n)\s*import\s+'([^']+)'|import\('([^']+)'\)/g;

function roomOf(path: string): string | undefined {
  if (path.startsWith(SERVER_SRC)) {
    const rest = path.slice(SERVER_SRC.length);
    const slash = rest.indexOf('/');
    return slash === -1 ? rest.replace(/\.ts$/, '') : rest.slice(0, slash);
  }
  return /^packages\/([^/]+)\//.exec(path)?.[1];
}

function isTest(path: string): boolean {
  return /\.(test|bench|long|fixture)\.tsx?$|\/test\/|\/scripts\/|\/fixtures\//.test(path);
}

function sources(): string[] {
  return globSync('packages/*/src/**/*.{ts,tsx}', { cwd: ROOT }).filter(
    (path) => !isTest(path) && !path.endsWith('.d.ts'),
  );
}

function importsOf(path: string): Import[] {
  const room = roomOf(path);
  if (room === undefined) return [];
  const text = readFileSync(join(ROOT, path), 'utf8');
  return [...text.matchAll(IMPORT)].flatMap((match) => {
    const target = targetOf(path, match[1] ?? match[2] ?? match[3] ?? '');
    return target === room ? [] : [{ file: path, room, target }];
  });
}

function targetOf(path: string, specifier: string): string {
  // Data beside the code: the version in package.json, a table of prices.
  if (specifier.endsWith('.json')) return roomOf(path) ?? specifier;
  if (specifier.startsWith('.')) {
    return roomOf(relative(ROOT, join(ROOT, dirname(path), specifier))) ?? specifier;
  }
  if (specifier.startsWith('node:')) return 'node';
  const [scope, name] = specifier.split('/');
  if (scope === '@lumatrace') return name ?? specifier;
  return scope?.startsWith('@') === true ? `${scope}/${name}` : (scope ?? specifier);
}

const ALL = sources().flatMap(importsOf);

test('every import follows an arrow of rooms.json', () => {
  const breaches = ALL.filter(({ room, target }) => ARROWS[room]?.[target] === undefined);
  assert.deepEqual(
    breaches.map(({ file, target }) => `${file} → ${target}`),
    [],
  );
});

test('every arrow of rooms.json is walked by somebody', () => {
  const walked = new Set(ALL.map(({ room, target }) => `${room} → ${target}`));
  const declared = Object.entries(ARROWS).flatMap(([room, targets]) =>
    Object.keys(targets).map((target) => `${room} → ${target}`),
  );
  assert.deepEqual(
    declared.filter((arrow) => !walked.has(arrow)),
    [],
  );
});

test('every arrow says why', () => {
  for (const [room, targets] of Object.entries(ARROWS)) {
    for (const [target, reason] of Object.entries(targets)) assert.ok(reason.length > 10, `${room} → ${target}`);
  }
});

test('no story room imports another', () => {
  const between = ALL.filter(({ room, target }) => STORIES.includes(room) && STORIES.includes(target));
  assert.deepEqual(between, []);
});

test('only the transaction wrapper touches the pool of the application', () => {
  const callers = sources()
    .filter((path) => path.startsWith(SERVER_SRC) && !path.startsWith(`${SERVER_SRC}storage/`))
    .filter((path) => /from 'pg'|new pg\.|\.ownerPool\b/.test(readFileSync(join(ROOT, path), 'utf8')));
  assert.deepEqual(
    callers.filter((path) => !OWNERS.some((owner) => path.startsWith(SERVER_SRC + owner))),
    [],
  );
});
