// Addresses and names of people, sealed under a key of the installation, and the blind index by which a login finds one.
import { createHmac, hkdfSync } from 'node:crypto';
import type { PeopleSeal } from '../storage/seals.ts';
import type { InstallationKey, InstallationKeys } from './installation-keys.ts';
import { KeyError, kekFromBytes, wrappedVersion, type Kek } from './kek.ts';

const KEY_BYTES = 32;

interface OneVersion {
  seal: Kek;
  index: Buffer;
}

/** A version is derived once per process; which one is in use follows the installation's keys. */
export function createPeopleSeal(installationKeys: InstallationKeys): () => Promise<PeopleSeal> {
  const derived = new Map<number, OneVersion>();
  const versionOf = ({ version, secret }: InstallationKey): OneVersion => {
    const known = derived.get(version);
    if (known !== undefined) return known;
    const made = derive(secret, version);
    derived.set(version, made);
    return made;
  };
  return async () => {
    const inUse = await installationKeys.secret('people');
    const all = await installationKeys.versions('people');
    return peopleSeal(versionOf(inUse), new Map(all.map((key) => [key.version, versionOf(key)])));
  };
}

// one key per use (RFC 5869): what seals is never what indexes
function derive(secret: Uint8Array, version: number): OneVersion {
  const of = (use: string): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `lumatrace|people|${use}`, KEY_BYTES));
  return { seal: kekFromBytes(of('seal'), version), index: of('index') };
}

/** For tests and tools that hold the secrets themselves: the first is in use. */
export function peopleSealOf(keys: readonly [InstallationKey, ...InstallationKey[]]): PeopleSeal {
  const all = new Map(keys.map(({ version, secret }) => [version, derive(secret, version)]));
  return peopleSeal(all.get(keys[0].version) as OneVersion, all);
}

function peopleSeal(inUse: OneVersion, all: ReadonlyMap<number, OneVersion>): PeopleSeal {
  return {
    version: inUse.seal.version,
    seal: (column, accountId, text) => inUse.seal.wrap(boundTo(column, accountId), Buffer.from(text, 'utf8')),
    open(column, accountId, sealed) {
      const version = wrappedVersion(sealed);
      const key = all.get(version);
      if (key === undefined)
        throw new KeyError(
          'KEY_UNKNOWN_VERSION',
          `Expected a known version of the key of people but found ${version}.`,
        );
      return key.seal.unwrap(boundTo(column, accountId), sealed).toString('utf8');
    },
    indexes(email) {
      const others = [...all.values()].filter((version) => version !== inUse);
      return [indexOf(inUse, email), ...others.map((version) => indexOf(version, email))];
    },
  };
}

const boundTo = (column: string, accountId: string): string => `accounts|${column}|${accountId}`;

function indexOf({ index }: OneVersion, email: string): string {
  return createHmac('sha256', index).update(email, 'utf8').digest('base64url');
}
