// What an answer gives for the next request, bent: cursors, idempotency keys, members that nobody may set.
import { randomBytes, randomUUID } from 'node:crypto';
import { reply, type Family, type Reply } from '../family.ts';
import { traceOf } from '../parties.ts';
import { exampleOf, pathWith } from '../routes.ts';
import { wasServed, type Scene } from '../scene.ts';
import type { Answer, Shot } from '../shot.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const LISTS = ['/api/traces', '/api/v1/photos'];

const bearer = (apiKey = ''): Record<string, string> => ({ authorization: `Bearer ${apiKey}` });

export const cursors: Family = {
  name: 'cursors',
  about: 'cursors that were changed, cut, respelled, or given for another list or tenant',
  needsForeign: true,
  holes: [
    {
      name: 'a cursor that cannot be read is left out',
      async open({ url }, { forward }) {
        const answer = await forward();
        return answer.status === 400 ? forward({ url: url.replace(/&cursor=[^&]*/, '') }) : answer;
      },
    },
    {
      name: 'a cursor names the tenant',
      async open(passing, { forward, scene }) {
        const answer = await forward();
        const { foreign } = scene.stage;
        return answer.status === 400
          ? forward({ headers: { ...passing.headers, ...bearer(foreign?.apiKey) } })
          : answer;
      },
    },
  ],
  async run(scene) {
    const { own, foreign, corpora } = scene.stage;
    await fill(scene, own.apiKey);
    await fill(scene, foreign?.apiKey ?? '');
    for (const list of LISTS) {
      const cursor = await cursorOf(scene, list, own.apiKey);
      const theirs = await cursorOf(scene, list, foreign?.apiKey ?? '');
      const elsewhere = await cursorOf(scene, LISTS.find((other) => other !== list) ?? list, own.apiKey);
      const honest = await scene.ask({
        method: 'GET',
        path: `${list}?limit=1&cursor=${cursor}`,
        headers: scene.ownKey,
      });
      if (!wasServed(honest)) throw new Error(`Expected a page but received ${honest.status} ${honest.text}`);
      const bent = [theirs, elsewhere, ...changed(scene, cursor), ...corpora.strings];
      const shots = bent
        .filter((text) => text !== cursor && text !== '' && text.length < 8_000)
        .map((text): Shot => ({
          method: 'GET',
          path: `${list}?limit=1&cursor=${encodeURIComponent(text.toWellFormed())}`,
          headers: scene.ownKey,
        }));
      const otherFilters = ['model=x', 'status=error', 'minCost=1'].map((filter): Shot => ({
        method: 'GET',
        path: `${list}?limit=1&${filter}&cursor=${cursor}`,
        headers: scene.ownKey,
      }));
      // The same cursor in another spelling gives the same page, which is no harm.
      await scene.volley([...shots, ...otherFilters], (answer) =>
        wasServed(answer) && rowsOf(answer) !== rowsOf(honest) ? 'a cursor that was not given was followed' : undefined,
      );
    }
  },
};

/** The page without the cursor of the next, which is sealed anew each time. */
function rowsOf({ text }: Answer): string {
  return text.replaceAll(/"nextCursor":\s*"[^"]*"/g, '');
}

async function fill(scene: Scene, apiKey: string): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const headers = { ...bearer(apiKey), ...JSON_TYPE };
    await scene.ask({
      method: 'POST',
      at: 'otlp',
      path: '/v1/traces',
      headers,
      body: JSON.stringify(traceOf('page').body),
    });
    await scene.ask({ method: 'POST', path: '/api/v1/photos/register', headers, body: photo() });
  }
}

function photo(): string {
  return JSON.stringify({ contentHash: randomBytes(32).toString('hex'), deviceModel: 'page' });
}

async function cursorOf(scene: Scene, list: string, apiKey: string): Promise<string> {
  const answer = await scene.ask({ method: 'GET', path: `${list}?limit=1`, headers: bearer(apiKey) });
  const cursor = /"(?:nextCursor|next_cursor|cursor|next)"\s*:\s*"([^"]+)"/.exec(answer.text)?.[1];
  if (cursor === undefined) throw new Error(`Expected a cursor of ${list} but received ${answer.text.slice(0, 300)}`);
  return cursor;
}

function changed(scene: Scene, cursor: string): string[] {
  const flipped = Array.from(cursor).flatMap((character, i) =>
    ['A', 'z', '-']
      .filter((other) => other !== character)
      .map((other) => cursor.slice(0, i) + other + cursor.slice(i + 1)),
  );
  const cut = Array.from({ length: cursor.length - 1 }, (_, i) => cursor.slice(0, i + 1));
  const random = Array.from({ length: 200 }, () => scene.random.bytes(40).toString('base64url'));
  return [...flipped, ...cut, ...random, `${cursor}A`, `${cursor}==`, `${cursor}${cursor}`, cursor.toLowerCase()];
}

export const replays: Family = {
  name: 'replays',
  about: 'idempotency keys used again: by the same, by others, for other bodies, all at once',
  needsForeign: true,
  holes: [
    {
      name: 'answers are kept by the key alone',
      open: (() => {
        const kept = new Map<string, Reply>();
        return async ({ headers }, { forward }) => {
          const key = headers['idempotency-key'] ?? '';
          const answer = kept.get(key) ?? (await forward());
          kept.set(key, answer);
          return answer;
        };
      })(),
    },
    {
      name: 'the key is ignored',
      open: ({ headers }, { forward }) => forward({ headers: { ...headers, 'idempotency-key': randomUUID() } }),
    },
  ],
  async run(scene) {
    const rounds = scene.some(Array.from({ length: 120 }, (_, i) => i));
    for (const _ of rounds) await replayOnce(scene);
  },
};

async function replayOnce(scene: Scene): Promise<void> {
  const { own, foreign } = scene.stage;
  const key = randomUUID();
  const body = photo();
  const shot = (apiKey: string, text: string): Shot => ({
    method: 'POST',
    path: '/api/v1/photos/register',
    headers: { ...bearer(apiKey), ...JSON_TYPE, 'idempotency-key': key },
    body: text,
  });
  // Five at once, then one more: one photograph.
  const answers = await Promise.all(Array.from({ length: 5 }, () => scene.fire(shot(own.apiKey, body))));
  answers.push(await scene.fire(shot(own.apiKey, body)));
  const made = new Set(answers.filter(wasServed).map(photoIdOf));
  scene.verdict(made.size > 1 ? `one key made ${made.size} photographs` : undefined, `idempotency-key: ${key}`);
  await scene.fire(shot(own.apiKey, photo()), (answer) =>
    wasServed(answer) ? 'the key was taken for another body' : undefined,
  );
  await scene.fire(shot(foreign?.apiKey ?? '', body), (answer) =>
    made.has(photoIdOf(answer)) || answer.text.includes(own.tenantId)
      ? 'the answer of another tenant was repeated'
      : undefined,
  );
}

function photoIdOf({ text }: Answer): string {
  return /"photoId"\s*:\s*"([^"]+)"/.exec(text)?.[1] ?? '';
}

/** Values that nothing else in the run has: wherever one comes back, a member was taken that nobody may set. */
const ASSIGNED_NUMBER = 987_654_321;
const ASSIGNED_TEXT = 'attack-assigned';

export const assignment: Family = {
  name: 'assignment',
  about: 'members that a body may not set: tenant, role, limits, maker; and more scopes than one has',
  needsForeign: true,
  holes: [
    {
      name: 'the body is merged into the row',
      async open({ body }, { forward }) {
        const answer = await forward();
        if (answer.status > 299 || !body.includes(ASSIGNED_TEXT)) return answer;
        return reply(answer.status, { ...(JSON.parse(body.toString()) as object) });
      },
    },
    {
      name: 'a key may give what it does not hold',
      open: ({ headers, url, method }, { forward, scene }) =>
        method === 'POST' && url === '/api/keys' ? forward({ headers: { ...headers, ...scene.ownKey } }) : forward(),
    },
  ],
  async run(scene) {
    const { routes, foreign } = scene.stage;
    const tenantId = foreign?.tenantId ?? '';
    const members: Record<string, unknown> = {
      ...Object.fromEntries(['tenantId', 'tenant_id', 'tid', 'tenant', 'org'].map((name) => [name, tenantId])),
      ...Object.fromEntries(
        ['role', 'roles', 'createdBy', 'created_by', 'subject', 'accountId', 'owner', 'prefix'].map((name) => [
          name,
          ASSIGNED_TEXT,
        ]),
      ),
      ...Object.fromEntries(
        ['keyId', 'photoId', 'id', 'changedBy', 'status', 'signature', 'apiKey', 'key_hash'].map((name) => [
          name,
          ASSIGNED_TEXT,
        ]),
      ),
      ...Object.fromEntries(
        ['requestsPerHour', 'requests_per_hour', 'tracesPerDay', 'traces_per_day', 'version'].map((name) => [
          name,
          ASSIGNED_NUMBER,
        ]),
      ),
      isAdmin: true,
      admin: true,
      mustChangePassword: false,
      revokedAt: null,
    };
    const writes = routes.filter(
      ({ body, isForPersons, isPublic }) => body !== undefined && !isForPersons && !isPublic,
    );
    const shots = writes.flatMap((route) => {
      const known = Object.keys(route.body?.properties ?? {});
      const base = exampleOf(route.body ?? {}) as object;
      const shot = (more: object): Shot => ({
        method: route.method,
        path: pathWith(route, randomUUID()),
        headers: { ...scene.ownKey, ...JSON_TYPE },
        body: JSON.stringify({ ...base, ...more, note: ASSIGNED_TEXT }),
      });
      const foreignMembers = Object.entries(members).filter(([name]) => !known.includes(name));
      return [
        ...foreignMembers.map(([name, value]) => shot({ [name]: value })),
        shot(Object.fromEntries(foreignMembers)),
      ];
    });
    const marks = [tenantId, String(ASSIGNED_NUMBER), ASSIGNED_TEXT];
    await scene.volley(shots, (answer) =>
      wasServed(answer) && marks.some((mark) => answer.text.includes(mark))
        ? 'a member was set that nobody may set'
        : undefined,
    );
    await unchanged(scene, marks);
    await tryEscalation(scene);
  },
};

/** Afterwards nothing that the tenant reads of itself holds one of the values. */
async function unchanged(scene: Scene, marks: readonly string[]): Promise<void> {
  for (const path of [
    '/api/settings',
    '/api/keys',
    '/api/members',
    '/api/v1/photos',
    '/api/prices',
    '/api/redaction',
  ]) {
    await scene.fire({ method: 'GET', path, headers: scene.ownKey }, ({ text }) =>
      marks.some((mark) => text.includes(mark)) ? 'a value that nobody may set was kept' : undefined,
    );
  }
}

function newKey(headers: Record<string, string>, scopes: readonly string[]): Shot {
  return {
    method: 'POST',
    path: '/api/keys',
    headers: { ...headers, ...JSON_TYPE },
    body: JSON.stringify({ name: 'more', scopes }),
  };
}

async function tryEscalation(scene: Scene): Promise<void> {
  const answer = await scene.ask(newKey(scene.ownKey, ['keys:admin']));
  if (!wasServed(answer)) throw new Error(`Expected a key but received ${answer.status} ${answer.text}`);
  const narrow = bearer((JSON.parse(answer.text) as { apiKey?: string }).apiKey);
  const wanted = ['traces:read', 'traces:write', 'photos:protect', 'audit:read', 'trust:admin', 'prices:write'];
  for (const scope of wanted) {
    for (const scopes of [[scope], ['keys:admin', scope], [scope, scope]]) {
      await scene.fire(newKey(narrow, scopes), (made) =>
        wasServed(made) ? 'a key gave a scope that it does not hold' : undefined,
      );
    }
  }
}
