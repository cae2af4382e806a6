// The few members of Node's Buffer that the reading of credentials uses, for a browser's worker.
type Encoding = 'latin1' | 'hex';

function bytesOf(text: string, encoding: Encoding): number[] {
  if (encoding === 'hex') return (text.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
  return Array.from(text, (letter) => letter.charCodeAt(0) & 0xff);
}

export class DeviceBuffer extends Uint8Array {
  static override from(source: unknown, second?: unknown, length?: number): DeviceBuffer {
    if (typeof source === 'string') {
      if (second !== 'latin1' && second !== 'hex')
        throw new TypeError(`Expected latin1 or hex but received ${String(second)}`);
      return new DeviceBuffer(bytesOf(source, second));
    }
    if (source instanceof ArrayBuffer) return new DeviceBuffer(source, (second as number | undefined) ?? 0, length);
    if (source instanceof Uint8Array) return new DeviceBuffer(source);
    throw new TypeError('Expected a text or bytes for a buffer');
  }

  equals(other: Uint8Array): boolean {
    return this.length === other.length && this.every((byte, at) => byte === other[at]);
  }

  override includes(needle: number | string, from = 0): boolean {
    return this.indexOf(needle, from) >= 0;
  }

  override indexOf(needle: number | string | Uint8Array, from = 0): number {
    if (typeof needle === 'number') return super.indexOf(needle, from);
    const wanted = typeof needle === 'string' ? Uint8Array.from(bytesOf(needle, 'latin1')) : needle;
    const [first] = wanted;
    if (first === undefined) return from;
    // the first byte is looked for by the engine, the rest by hand
    for (let at = super.indexOf(first, from); at >= 0; at = super.indexOf(first, at + 1))
      if (this.#holds(wanted, at)) return at;
    return -1;
  }

  override lastIndexOf(needle: number | string | Uint8Array): number {
    if (typeof needle === 'number') return super.lastIndexOf(needle);
    const wanted = typeof needle === 'string' ? Uint8Array.from(bytesOf(needle, 'latin1')) : needle;
    for (let at = this.length - wanted.length; at >= 0; at--) if (this.#holds(wanted, at)) return at;
    return -1;
  }

  override toString(encoding?: Encoding): string {
    if (encoding === 'hex') return Array.from(this, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return Array.from(this, (byte) => String.fromCharCode(byte)).join('');
  }

  #holds(wanted: Uint8Array, at: number): boolean {
    for (let i = 0; i < wanted.length; i++) if (this[at + i] !== wanted[i]) return false;
    return true;
  }
}

Object.defineProperty(globalThis, 'Buffer', { value: DeviceBuffer, configurable: true });
