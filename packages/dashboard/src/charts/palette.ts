// Which colour a series has: the first come takes the first colour and keeps it, on every page, in this browser.

export const SLOTS = 7;
const KEY = 'lumatrace.series-colours';
const MAX_REMEMBERED = 500;

/** Remembers `kind:name` → slot 1…7; more than seven share colours in turn. */
export class SeriesColours {
  readonly #slots = new Map<string, number>();
  readonly #store: Pick<Storage, 'getItem' | 'setItem'> | undefined;

  constructor(store?: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#store = store;
    for (const name of readNames(store)) this.#add(name);
  }

  /** Token of the colour, without `--`. Unnamed and collected series are grey. */
  tokenOf(kind: string, name: string | null): string {
    if (name === null || name === '' || name === REST) return 'series-rest';
    const key = `${kind}:${name}`;
    return `series-${this.#slots.get(key) ?? this.#remember(key)}`;
  }

  #remember(key: string): number {
    if (this.#slots.size >= MAX_REMEMBERED) return 1 + (key.length % SLOTS);
    const slot = this.#add(key);
    try {
      this.#store?.setItem(KEY, JSON.stringify([...this.#slots.keys()]));
    } catch {
      // Storage is full or closed: the colours hold until the page is left.
    }
    return slot;
  }

  // each kind (model, service, …) goes through the seven colours by itself
  #add(key: string): number {
    const kind = key.slice(0, key.indexOf(':') + 1);
    const before = [...this.#slots.keys()].filter((other) => other.startsWith(kind)).length;
    const slot = 1 + (before % SLOTS);
    this.#slots.set(key, slot);
    return slot;
  }
}

/** The name under which small series are collected. */
export const REST = 'everything else';

function readNames(store: Pick<Storage, 'getItem'> | undefined): string[] {
  try {
    const names: unknown = JSON.parse(store?.getItem(KEY) ?? '[]');
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string').slice(0, MAX_REMEMBERED) : [];
  } catch {
    return [];
  }
}
