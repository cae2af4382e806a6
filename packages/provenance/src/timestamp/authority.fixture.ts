// A time-stamping authority for tests: a root, a certificate with every knob, and `answerTimestampRequest` behind it.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { answerTimestampRequest, type TimestampAuthority } from './reply.ts';
import { encodeTimestampRequest } from './request.ts';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
export const TIMESTAMP_POLICY = '2.25.305419896';

export interface AuthorityOptions {
  purposes?: readonly string[];
  critical?: boolean;
  notBefore?: Date;
  notAfter?: Date;
  /** SHA-1 instead of SHA-256 on the certificate. */
  weak?: boolean;
}

export interface TestAuthority {
  authority: TimestampAuthority;
  rootPem: string;
  rootDer: Uint8Array;
  /** A token over SHA-256 of the bytes, at a time. */
  stamp(digest: Uint8Array, now?: Date): Promise<Uint8Array>;
}

export async function makeAuthority(options: AuthorityOptions = {}): Promise<TestAuthority> {
  x509.cryptoProvider.set(crypto);
  const { purposes = ['1.3.6.1.5.5.7.3.8'], critical = true, weak = false } = options;
  const now = Date.now();
  const long = { notBefore: new Date(now - 3650 * DAY_MS), notAfter: new Date(now + 3650 * DAY_MS) };
  const rootKeys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const keys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'C=ES, O=Time, CN=Time Root',
    keys: rootKeys,
    ...long,
    signingAlgorithm: ECDSA,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(rootKeys.publicKey),
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'C=ES, O=Time, CN=Time Stamping',
    issuer: root.subject,
    publicKey: keys.publicKey,
    signingKey: rootKeys.privateKey,
    notBefore: options.notBefore ?? long.notBefore,
    notAfter: options.notAfter ?? long.notAfter,
    signingAlgorithm: weak ? { ...ECDSA, hash: 'SHA-1' } : ECDSA,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...purposes], critical)]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(rootKeys.publicKey),
    ],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const authority: TimestampAuthority = {
    certificatesDer: [new Uint8Array(certificate.rawData)],
    policy: TIMESTAMP_POLICY,
    sign: async (tbs) => sign('sha256', tbs, key),
  };
  const rootDer = new Uint8Array(root.rawData);
  return {
    authority,
    rootDer,
    rootPem: root.toString('pem'),
    async stamp(digest, at = new Date()) {
      const nonce = randomBytes(16);
      const request = encodeTimestampRequest({ digest, nonce });
      const response = await answerTimestampRequest(request, authority, { now: at, serialNumber: randomBytes(16) });
      return tokenIn(response);
    },
  };
}

// TimeStampResp ::= SEQUENCE { PKIStatusInfo, ContentInfo }: the second element, whatever its worth
function tokenIn(response: Uint8Array): Uint8Array {
  const outer = headerBytes(response, 0);
  const status = outer + headerBytes(response, outer) + (response[outer + 1] ?? 0);
  return response.slice(status);
}

function headerBytes(der: Uint8Array, at: number): number {
  const first = der[at + 1] ?? 0;
  return first < 0x80 ? 2 : 2 + (first & 0x7f);
}
