// The documentation page: Swagger UI from our own disk, started by a file, since pages run no inline scripts.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { route, type Route } from './route.ts';
import { DOCS_POLICY } from './security-headers.ts';

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>LumaTrace API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <noscript>This page needs JavaScript; the same description is at <a href="/openapi.json">/openapi.json</a>.</noscript>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

// No validator badge and no persisted credentials: the page talks to this server only and keeps nothing.
const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
});
`;

const JAVASCRIPT = 'text/javascript; charset=utf-8';
const because = 'the documentation holds no data';

export function docsRoutes(): Route[] {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const fromDisk = (name: string) => (): Promise<Uint8Array<ArrayBuffer>> => readFile(join(folder, name));
  return [
    page('/docs', 'text/html; charset=utf-8', () => Promise.resolve(PAGE)),
    page('/docs/start.js', JAVASCRIPT, () => Promise.resolve(START)),
    page('/docs/swagger-ui-bundle.js', JAVASCRIPT, fromDisk('swagger-ui-bundle.js')),
    page('/docs/swagger-ui.css', 'text/css; charset=utf-8', fromDisk('swagger-ui.css')),
  ];
}

function page(path: string, contentType: string, read: () => Promise<string | Uint8Array<ArrayBuffer>>): Route {
  return route({
    method: 'GET',
    path,
    summary: 'The documentation page.',
    tag: 'operations',
    policy: { kind: 'public', because },
    limit: 'none',
    answers: { 200: { description: 'A file of the page.', contentType: contentType.split(';')[0] ?? contentType } },
    handle: async () =>
      new Response(await read(), {
        headers: {
          'content-type': contentType,
          'content-security-policy': DOCS_POLICY,
          'cache-control': 'no-cache',
        },
      }),
  });
}
