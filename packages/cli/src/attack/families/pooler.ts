// PgBouncer in transaction mode: each connection to PostgreSQL is handed on after every transaction.
import type { Family, Reply } from '../family.ts';
import type { Party } from '../parties.ts';
import type { Pooled, Scene } from '../scene.ts';
import type { Shot } from '../shot.ts';

const TRANSACTIONS = 100_000;
const AT_A_TIME = 5_000;
/** Requests of all tenants by turns. */
const REQUESTS = 4_000;
const LISTS = ['/api/keys', '/api/v1/photos', '/api/traces', '/api/settings', '/api/usage', '/api/members'];

export const pooler: Family = {
  name: 'pooler',
  about: 'fifty tenants through few connections that change hands after every transaction',
  needsPooler: true,
  holes: [
    {
      name: 'the tenant is set for the session',
      behind: (stage) => {
        const { pooled } = stage;
        if (pooled === undefined) return stage;
        return { ...stage, pooled: { ...pooled, interleave: pooled.interleaveBySession } };
      },
    },
    {
      name: 'now and then a request is answered on the connection of somebody else',
      open: (() => {
        let count = 0;
        return ({ headers }, { forward, scene }): Promise<Reply> => {
          const { neighbours } = pooledOf(scene);
          const other = neighbours[count % neighbours.length];
          const isMixedUp = ++count % 50 === 0 && other !== undefined;
          return isMixedUp ? forward({ headers: { ...headers, ...bearer(other) } }) : forward();
        };
      })(),
    },
  ],
  async run(scene) {
    const pooled = pooledOf(scene);
    await throughTheServer(scene, pooled);
    const transactions = Math.min(TRANSACTIONS, scene.stage.most * 100);
    scene.tally.more['interleavedTransactions'] = 0;
    scene.tally.more['foreignRows'] = 0;
    for (let done = 0; done < transactions; done += AT_A_TIME) {
      await someTransactions(scene, pooled, Math.min(AT_A_TIME, transactions - done));
    }
    if (pooled.hasEnded()) scene.failed('the server behind the pooler ended', 'interleaved requests');
  },
};

function pooledOf({ stage }: Scene): Pooled {
  if (stage.pooled === undefined) throw new TypeError('Expected an instance behind a pooler');
  return stage.pooled;
}

function bearer({ apiKey }: Party): Record<string, string> {
  return { authorization: `Bearer ${apiKey}` };
}

async function someTransactions(scene: Scene, pooled: Pooled, transactions: number): Promise<void> {
  const figures = await pooled.interleave(transactions, (end) => scene.random.below(end));
  const add = (name: string, amount: number): void => {
    scene.tally.more[name] = (scene.tally.more[name] ?? 0) + amount;
  };
  add('interleavedTransactions', figures.transactions);
  add('foreignRows', figures.foreignRows);
  add('ownRows', figures.ownRows);
  add('handovers', figures.handovers);
  const { foreignRows } = figures;
  const name = `${transactions} interleaved transactions`;
  scene.verdict(foreignRows > 0 ? `${foreignRows} rows of another tenant were shown or changed` : undefined, name);
  scene.verdict(figures.ownRows === 0 ? 'nobody saw rows of their own, so that nothing was tried' : undefined, name);
  for (const what of figures.unexpected) scene.failed(what, name);
}

/** Each answer may hold its own tenant's word and nobody else's. */
async function throughTheServer(scene: Scene, { neighbours }: Pooled): Promise<void> {
  const parties = [scene.stage.own, ...neighbours];
  const owners = new Map<Shot, Party>();
  const shots = Array.from({ length: REQUESTS }, (_, i) => {
    const party = scene.random.pick(parties);
    const path = `${scene.random.pick(LISTS)}?limit=${1 + (i % 50)}`;
    const shot: Shot = { method: 'GET', path, headers: bearer(party) };
    owners.set(shot, party);
    return shot;
  });
  await scene.volley(shots, ({ text }, shot) => {
    const owner = owners.get(shot);
    const isForeign = parties.some((other) => other !== owner && text.includes(other.word));
    return isForeign ? 'the answer holds what another tenant keeps' : undefined;
  });
}
