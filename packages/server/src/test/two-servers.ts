// Two servers of one installation, each a process of its own, on one PostgreSQL that is not theirs.
import { join } from 'node:path';
import { operatedDatabase } from './harness.ts';
import { freePort, startInstance, type Instance } from './instance.ts';

export interface TwoServers {
  a: Instance;
  b: Instance;
  /** Of both, and for commands beside them. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

export async function startTwoServers(): Promise<TwoServers> {
  const operated = await operatedDatabase();
  // one address for both, as behind a load balancer: tokens name it
  const env = { DATABASE_URL: operated.operatorUrl, LUMATRACE_PUBLIC_URL: `http://localhost:${await freePort()}` };
  const started: Instance[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((instance) => instance.stop()));
    await operated.close();
  };
  try {
    const a = await startInstance({ env });
    started.push(a);
    const sameKey = { LUMATRACE_KEK_FILE: join(a.dataDir, 'kek') };
    const b = await startInstance({ env: { ...env, ...sameKey }, firstRun: a.firstRun });
    started.push(b);
    return { a, b, env, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
