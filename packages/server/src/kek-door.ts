// How the key above all keys is opened in this installation: read from its file, or asked of the engine that sealed it.
import { UsageError, type Config } from './config.ts';
import { DataFolderRefused, PLAIN_DOOR, SEALED_BY_ENGINE, type KekDoor } from './data-folder.ts';
import { createEgress } from './egress/egress.ts';
import { createKekTransit, type KekTransit } from './keys/kek-transit.ts';

export interface KekDoors {
  /** For whoever runs: opens what lies there as it is configured, and nothing else. */
  door: KekDoor;
  /** For a rotation, which may move the key: opens either, as far as the engine is known. */
  either: KekDoor;
  /** Whether every opening asks an engine. */
  isTransit: boolean;
}

/** Asks nobody yet. @throws UsageError for half a configuration */
export function kekDoors(config: Config): KekDoors {
  const transit = transitOf(config);
  const isTransit = config.kek === 'transit';
  if (transit === undefined) {
    if (isTransit)
      throw new UsageError(
        'LUMATRACE_KEK=transit needs LUMATRACE_KEK_TRANSIT_URL, LUMATRACE_KEK_TRANSIT_KEY and LUMATRACE_KEK_TRANSIT_TOKEN_FILE.',
      );
    return { door: PLAIN_DOOR, either: PLAIN_DOOR, isTransit };
  }
  const sealed = sealedDoor(transit);
  const either: KekDoor = {
    lock: isTransit ? sealed.lock : PLAIN_DOOR.lock,
    unlock: (line, file) => (line.startsWith(SEALED_BY_ENGINE) ? sealed : PLAIN_DOOR).unlock(line, file),
  };
  return { door: isTransit ? sealed : PLAIN_DOOR, either, isTransit };
}

function transitOf({
  kekTransitUrl: url,
  kekTransitKey: key,
  kekTransitTokenFile: tokenFile,
  egressAllow,
}: Config): KekTransit | undefined {
  if (url === undefined && key === undefined && tokenFile === undefined) return undefined;
  if (url === undefined || key === undefined || tokenFile === undefined)
    throw new UsageError('Expected all of LUMATRACE_KEK_TRANSIT_URL, _KEY and _TOKEN_FILE, or none of them.');
  return createKekTransit({ url, key, tokenFile, egress: createEgress({ allow: egressAllow }) });
}

function sealedDoor(transit: KekTransit): KekDoor {
  return {
    lock: async (bytes) => SEALED_BY_ENGINE + (await transit.lock(bytes)),
    async unlock(line, file) {
      if (line.startsWith(SEALED_BY_ENGINE)) return transit.unlock(line.slice(SEALED_BY_ENGINE.length));
      throw new DataFolderRefused(
        `The key ${file} is not sealed by the transit engine that LUMATRACE_KEK=transit names: stop LumaTrace and run "./lumatrace keys rotate kek" with this configuration, which moves it there.`,
      );
    },
  };
}
