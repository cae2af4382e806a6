/** The value of our soft binding: the watermark's 64-bit id, most significant byte first. */
export function bindingOf(id: bigint): Uint8Array {
  const value = Buffer.alloc(8);
  value.writeBigUInt64BE(id);
  return value;
}
