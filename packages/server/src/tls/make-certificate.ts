// A certificate for machines without one: signed by an authority whose key is forgotten at once, so that who trusts the
// authority trusts nothing but this certificate.
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import 'reflect-metadata'; // @peculiar/x509 resolves its parts through it
import * as x509 from '@peculiar/x509';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
/** The most that browsers take; it is made anew at a start in its last 30 days. */
const DAYS = 397;
/** Clocks of clients may lag. */
const BEFORE_MS = 3_600_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** PEM; for host names and addresses. */
export async function makeCertificate(
  names: readonly string[],
  now: Date,
): Promise<{ ca: string; cert: string; key: string }> {
  const [caKeys, keys] = await Promise.all([newKeys(), newKeys()]);
  const time = { notBefore: new Date(now.getTime() - BEFORE_MS), notAfter: new Date(now.getTime() + DAYS * DAY_MS) };
  const ca = await x509.X509CertificateGenerator.createSelfSigned(
    {
      ...time,
      serialNumber: serial(),
      name: [{ CN: ['LumaTrace listener authority'] }],
      keys: caKeys,
      signingAlgorithm: ECDSA,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const cert = await x509.X509CertificateGenerator.create(
    {
      ...time,
      serialNumber: serial(),
      subject: [{ CN: ['LumaTrace'] }],
      issuer: ca.subject,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      signingAlgorithm: ECDSA,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const key = x509.PemConverter.encode(pkcs8, 'PRIVATE KEY');
  const caPem = ca.toString('pem');
  return { ca: `${caPem}\n`, cert: `${cert.toString('pem')}\n${caPem}\n`, key: `${key}\n` };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
}

/** Positive, 127 bits. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
