// Base64 (RFC 4648) of attribute bytes without a platform's help: bytes are rare in attributes, so plain is fast enough.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Padded standard base64. */
export function bytesToBase64(bytes: Uint8Array): string {
  const pieces: string[] = [];
  // 3 bytes → 4 characters; a missing byte is "="
  for (let i = 0; i < bytes.length; i += 3) {
    const b = bytes[i + 1];
    const c = bytes[i + 2];
    const bits = (bytes[i]! << 16) | ((b ?? 0) << 8) | (c ?? 0);
    pieces.push(
      ALPHABET[bits >>> 18]! +
        ALPHABET[(bits >>> 12) & 63]! +
        (b === undefined ? '=' : ALPHABET[(bits >>> 6) & 63]!) +
        (c === undefined ? '=' : ALPHABET[bits & 63]!),
    );
  }
  return pieces.join('');
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Standard or URL-safe base64, padded or not → padded standard base64; undefined when it is none. */
export function normalBase64(text: string): string | undefined {
  if (!BASE64.test(text)) return undefined;
  const digits = text.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/');
  if (digits.length % 4 === 1) return undefined;
  return digits + '='.repeat((4 - (digits.length % 4)) % 4);
}
