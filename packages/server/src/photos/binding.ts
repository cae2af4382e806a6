/** The value of our soft binding: the watermark's 64-bit id, most significant byte first. */
export function bindingOf(id: bigint): Uint8Array {
  const value = Buffer.alloc(8);
  value.writeBigUInt64BE(id);
  return value;
}

/** Block means against their medians, 256 bits (`fingerprint.ts`): candidates, never proof. */
export const FINGERPRINT_ALG = 'org.lumatrace.blockmean.1';
