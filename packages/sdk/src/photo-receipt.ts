// Whether the transparency log holds a picture, from its receipt alone: no request is made, no account is needed.
import { createHash } from 'node:crypto';
import { logOfPem } from '@lumatrace/provenance/log/checkpoint.ts';
import { checkReceipt } from '@lumatrace/provenance/log/receipt.ts';
import type { ReceiptOptions, ReceiptVerification } from './photo-types.ts';

/**
 * The inclusion proof of RFC 6962 (RFC 9162 §2.1.3.2) up to a checkpoint that the log's key signed.
 * @throws TypeError when `logKey` is no Ed25519 key in PEM, or `image` and `contentHash` are both missing or both there
 */
export function verifyReceipt(receipt: unknown, { logKey, image, contentHash }: ReceiptOptions): ReceiptVerification {
  if ((image === undefined) === (contentHash === undefined))
    throw new TypeError('Expected either image or contentHash: the file that the receipt is said to be about.');
  if (contentHash !== undefined && !/^[0-9a-f]{64}$/.test(contentHash))
    throw new TypeError('Expected 64 lower-case hexadecimal digits as contentHash.');
  const sha256 =
    contentHash ??
    createHash('sha256')
      .update(image as Uint8Array)
      .digest('hex');
  const { verdict, entry, findings } = checkReceipt(receipt, logOf(logKey), sha256);
  if (entry === null) return { verdict, entry, findings };
  const { action, at, tenantId, object, sha256: hashes } = entry;
  return { verdict, entry: { action, at, tenantId, object, sha256: { ...hashes } }, findings };
}

function logOf(pem: string): ReturnType<typeof logOfPem> {
  try {
    return logOfPem(pem);
  } catch (cause) {
    throw new TypeError((cause as Error).message, { cause });
  }
}
