// Nobody but this room opens a socket to elsewhere: the sources are read for every way that Node offers.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** What runs in the server; the SDK and the CLI are clients and speak to an address that their user chose. */
const DEPLOYED = 'packages/{server,provenance,telemetry}/src/**/*.ts';
const NOT_DEPLOYED = /\.(test|bench|long|fixture)\.ts$|\/(test|fixtures|scripts)\//;

/** path → why it may. */
const ALLOWED = new Map([
  ['packages/server/src/egress/egress.ts', 'the door itself'],
  ['packages/server/src/keys/signer/client.ts', 'the Unix socket of the signer that it started'],
]);

const IMPORT = /import\s+(?!type\b)([^;]*?)\s+from\s+'(?:node:)?(https?|http2|net|tls|dgram|dns(?:\/promises)?)'/g;
const CLIENT_NAMES = /\b(request|get|connect|createConnection|Agent|Socket|createSocket|Resolver)\b/;
const LIBRARIES = /from\s+'(undici|axios|got|node-fetch|ws|follow-redirects|request-filtering-agent)['/]/;
// not the declaration of a method of that name
const GLOBALS = /(?<![.\w#])fetch\((?!\w+: )|globalThis\.fetch|new (WebSocket|EventSource)\(|getBuiltinModule\(/;

/** What opens sockets in a source, as the words that say so. */
function doorsIn(source: string): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '');
  const imported = [...code.matchAll(IMPORT)].flatMap(([whole, names = '', module]) => {
    const values = names.replaceAll(/\btype\s+\w+/g, '');
    return CLIENT_NAMES.test(values) || values.includes('*') || !values.includes('{') ? [`${module}: ${whole}`] : [];
  });
  const others = [LIBRARIES, GLOBALS].flatMap((pattern) => pattern.exec(code)?.[0] ?? []);
  return [...imported, ...others];
}

test('every way out is seen in a source', () => {
  for (const planted of [
    `const answer = await fetch('https://example.com');`,
    `export const f = globalThis.fetch;`,
    `import { request as r } from 'node:https';`,
    `import http from 'node:http';`,
    `import * as tls from 'node:tls';`,
    `import { createServer, Socket } from 'node:net';`,
    `import { connect } from 'net';`,
    `import { Agent } from 'undici';`,
    `new WebSocket('wss://example.com')`,
  ])
    assert.equal(doorsIn(planted).length, 1, planted);
  for (const harmless of [
    `import { createServer, type Socket } from 'node:net';`,
    `import type { IncomingMessage } from 'node:http';`,
    `await app.fetch(request); // never fetch(url)`,
    `fetch(request: Request): Promise<Response>;`,
  ])
    assert.deepEqual(doorsIn(harmless), [], harmless);
});

test('only the allowed files of what is deployed open sockets, and each of them does', () => {
  const paths = globSync(DEPLOYED, { cwd: ROOT }).filter((path) => !NOT_DEPLOYED.test(path));
  assert.ok(paths.length > 100, `only ${paths.length} sources were found`);
  const open = paths.filter((path) => doorsIn(readFileSync(`${ROOT}/${path}`, 'utf8')).length > 0);
  assert.deepEqual(open.sort(), [...ALLOWED.keys()].sort());
});
