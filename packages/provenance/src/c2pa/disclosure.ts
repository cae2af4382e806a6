// What a manifest says of the model that made a picture: our own disclosure, else the software agent of any vendor's action.
// Statements of a manifest are worth what its validation says: ask that first.
import type { ImageFormat } from '../image.ts';
import { PHOTO_LABEL, PROVIDER_KEY } from './assertions.ts';
import { CborTag, type CborMap, type CborValue } from './cbor.ts';
import { extractManifest } from './embed.ts';
import { activeManifest, cborMapOf, onlyContent, type ManifestBoxes } from './jumbf.ts';

/** Texts are a stranger's, at most 500 characters each; null where nothing is said. */
export interface SaidGenerator {
  readonly profile: string | null;
  readonly provider: string | null;
  readonly system: string;
  readonly version: string | null;
  /** As it stands there; ours is ISO 8601. */
  readonly createdAt: string | null;
}

const ACTION_LABELS = ['c2pa.actions.v2', 'c2pa.actions'];
const MAX_TEXT = 500;

/** The same for a file; null also for one without a readable manifest. */
export function generatorSaidIn(file: Uint8Array, format: ImageFormat): SaidGenerator | null {
  const store = whenReadable(() => extractManifest(file, format)?.store ?? null);
  return store === null ? null : generatorSaidBy(store);
}

/** Of the manifest in force; null when it names no system, or cannot be read. */
export function generatorSaidBy(store: Uint8Array): SaidGenerator | null {
  return whenReadable(() => {
    const manifest = activeManifest(store);
    return ownDisclosure(store, manifest) ?? softwareAgent(store, manifest);
  });
}

function ownDisclosure(store: Uint8Array, manifest: ManifestBoxes): SaidGenerator | null {
  const said = assertionOf(store, manifest, PHOTO_LABEL)?.get('disclosure');
  if (!(said instanceof Map)) return null;
  const system = textOf(said.get('system'));
  if (system === null) return null;
  return {
    profile: textOf(said.get('profile')),
    provider: textOf(said.get('provider')),
    system,
    version: textOf(said.get('version')),
    createdAt: textOf(said.get('createdAt')),
  };
}

// actions v2 name it by a map, v1 by a text; only the action that says where the picture comes from counts
function softwareAgent(store: Uint8Array, manifest: ManifestBoxes): SaidGenerator | null {
  for (const label of ACTION_LABELS) {
    const actions = assertionOf(store, manifest, label)?.get('actions');
    for (const action of Array.isArray(actions) ? (actions as readonly CborValue[]) : []) {
      if (!(action instanceof Map) || action.get('action') !== 'c2pa.created') continue;
      const agent: CborValue = action.get('softwareAgent');
      const named = agent instanceof Map ? agent : new Map([['name', agent]]);
      const system = textOf(named.get('name'));
      if (system === null) continue;
      const [provider, version] = [textOf(named.get(PROVIDER_KEY)), textOf(named.get('version'))];
      return { profile: null, provider, system, version, createdAt: textOf(action.get('when')) };
    }
  }
  return null;
}

function assertionOf(store: Uint8Array, { assertions }: ManifestBoxes, label: string): CborMap | null {
  const box = assertions.find((assertion) => assertion.label === label);
  return box === undefined ? null : cborMapOf(store, onlyContent(box, 'cbor'));
}

function textOf(value: CborValue): string | null {
  const text = value instanceof CborTag ? value.value : value;
  return typeof text === 'string' && text !== '' ? text.slice(0, MAX_TEXT) : null;
}

// what cannot be read is told by the validation; here it says nothing
function whenReadable<T>(read: () => T | null): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
