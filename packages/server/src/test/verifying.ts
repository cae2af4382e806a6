// How long the server's own code takes to know who brings a token, apart from HTTP: over a running instance's database.
import { createEgress } from '../egress/egress.ts';
import { createAccess } from '../access/access.ts';
import { kekPath, readKek } from '../data-folder.ts';
import { createInstallationKeys } from '../keys/installation-keys.ts';
import { kekFromBytes } from '../keys/kek.ts';
import { existingCluster } from '../storage/embedded/cluster.ts';
import { joinStorage } from '../storage/open.ts';

export interface VerifyingOptions {
  dataDir: string;
  /** The issuer. */
  url: string;
  /** Tokens that the instance has issued, asked by turns. */
  tokens: readonly string[];
  times: number;
}

const refuse = (): Promise<never> => Promise.reject(new Error('Nothing is signed here'));

/** Milliseconds of each verification, one after the other; the first of each token asks the database. @throws Error. */
export async function verifyingMs({ dataDir, url, tokens, times }: VerifyingOptions): Promise<Float64Array> {
  const folder = await existingCluster(dataDir);
  const storage = folder === undefined ? undefined : await joinStorage(folder);
  const kek = await readKek(kekPath(dataDir, undefined));
  if (storage === undefined || kek === undefined) throw new Error(`Expected a running instance in ${dataDir}`);
  try {
    const { database } = storage;
    const { credentials } = await createAccess({
      egress: createEgress({ allow: [] }),
      database,
      installationKeys: createInstallationKeys({ database, kek: kekFromBytes(kek) }),
      signer: { generate: refuse, load: () => Promise.resolve(), sign: refuse },
      publicUrl: url,
      otlpUrl: url,
      dataDir,
    });
    const ms = new Float64Array(times);
    for (let i = 0; i < times; i++) {
      const authorization = `Bearer ${tokens[i % tokens.length]}`;
      const header = (name: string): string | undefined => (name === 'authorization' ? authorization : undefined);
      const startedMs = performance.now();
      await credentials.authenticate({ header, url: `${url}/api/keys` });
      ms[i] = performance.now() - startedMs;
    }
    return ms;
  } finally {
    await storage.close();
  }
}
