// What the reading of credentials uses of Node's `crypto`, over the browser's own: hashes, certificates, signatures.
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  KeyUsage,
  KeyUsageFlags,
  SubjectPublicKeyInfo,
  SubjectKeyIdentifier,
  type Name,
} from '@peculiar/asn1-x509';
import { DeviceBuffer } from './node-buffer.ts';
import { answerTo } from './questions.ts';

type Bytes = Uint8Array<ArrayBuffer>;

interface HashName {
  readonly name: string;
  readonly bytes: number;
}

const HASHES: ReadonlyMap<string, HashName> = new Map([
  ['sha256', { name: 'SHA-256', bytes: 32 }],
  ['sha384', { name: 'SHA-384', bytes: 48 }],
  ['sha512', { name: 'SHA-512', bytes: 64 }],
]);

function hashNamed(name: string): HashName {
  const found = HASHES.get(name);
  if (found === undefined) throw new TypeError(`Expected SHA-256, SHA-384 or SHA-512 but received ${name}`);
  return found;
}

class Hash {
  readonly #hash: HashName;
  readonly #parts: Uint8Array[] = [];

  constructor(name: string) {
    this.#hash = hashNamed(name);
  }

  update(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  digest(): DeviceBuffer;
  digest(encoding: 'hex'): string;
  digest(encoding?: 'hex'): DeviceBuffer | string {
    const { name, bytes: length } = this.#hash;
    const bytes = joined(this.#parts);
    const ask = async (): Promise<Bytes> => new Uint8Array(await crypto.subtle.digest(name, bytes));
    const digest = DeviceBuffer.from(answerTo(name, [bytes], ask, new Uint8Array(length)));
    return encoding === 'hex' ? digest.toString('hex') : digest;
  }
}

function joined(parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const createHash = (name: string): Hash => new Hash(name);

/** Subject public key info, DER. */
interface PublicKey {
  readonly spki: Bytes;
}

const OID = {
  rsa: '1.2.840.113549.1.1.1',
  ecdsa: '1.2.840.10045.2.1',
  ed25519: '1.3.101.112',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  authorityKey: '2.5.29.35',
  subjectKey: '2.5.29.14',
} as const;

/** Named curves by the last bytes of their identifiers, and the bytes of one number of a signature. */
const CURVES: ReadonlyMap<string, { name: string; bytes: number }> = new Map([
  ['06082a8648ce3d030107', { name: 'P-256', bytes: 32 }],
  ['06052b81040022', { name: 'P-384', bytes: 48 }],
  ['06052b81040023', { name: 'P-521', bytes: 66 }],
]);

// a certificate names hash and key kind in one: RFC 8017, RFC 5758, RFC 8410. PSS stands apart (not used here as issuer)
const SIGNATURE_HASHES: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
  ['1.3.101.112', 'sha512'],
]);

interface Scheme {
  readonly key: RsaHashedImportParams | EcKeyImportParams | { name: 'Ed25519' };
  readonly use: EcdsaParams | { name: string };
  /** Bytes of r and of s, where a signature is DER on paper and bare numbers in the browser. */
  readonly numberBytes: number | null;
}

/** @throws TypeError for a key that no browser takes */
function schemeOf(algorithm: { algorithm: string; parameters?: ArrayBuffer | null }, hash: string): Scheme {
  const { name: hashName } = hashNamed(hash);
  if (algorithm.algorithm === OID.rsa) {
    const key = { name: 'RSASSA-PKCS1-v1_5', hash: hashName };
    return { key, use: key, numberBytes: null };
  }
  if (algorithm.algorithm === OID.ed25519)
    return { key: { name: 'Ed25519' }, use: { name: 'Ed25519' }, numberBytes: null };
  const curve = CURVES.get(DeviceBuffer.from(algorithm.parameters ?? new ArrayBuffer(0)).toString('hex'));
  if (algorithm.algorithm !== OID.ecdsa || curve === undefined) throw new TypeError('Expected RSA, ECDSA or Ed25519');
  const key = { name: 'ECDSA', namedCurve: curve.name };
  return { key, use: { name: 'ECDSA', hash: hashName }, numberBytes: curve.bytes };
}

/** r and s of a DER signature side by side (RFC 3279 §2.2.3, IEEE P1363); null when it is none. */
export function bareNumbers(der: Uint8Array, numberBytes: number): Bytes | null {
  const bare = new Uint8Array(2 * numberBytes);
  let at = der[1] === 0x81 ? 3 : 2;
  if (der[0] !== 0x30) return null;
  for (const end of [numberBytes, 2 * numberBytes]) {
    const length = der[at + 1] ?? 0;
    if (der[at] !== 0x02 || at + 2 + length > der.length) return null;
    const number = der.subarray(at + 2, at + 2 + length);
    const digits = number.subarray(
      Math.max(
        0,
        number.findIndex((byte) => byte !== 0),
      ),
    );
    if (digits.length > numberBytes) return null;
    bare.set(digits, end - digits.length);
    at += 2 + length;
  }
  return at === der.length ? bare : null;
}

export function verify(hash: string, data: Uint8Array, { spki }: PublicKey, signature: Uint8Array): boolean {
  const [message, given] = [new Uint8Array(data), new Uint8Array(signature)];
  const ask = async (): Promise<boolean> => {
    try {
      const { algorithm } = AsnConvert.parse(spki, SubjectPublicKeyInfo);
      const { key, use, numberBytes } = schemeOf(algorithm, hash);
      const proof = numberBytes === null ? given : bareNumbers(given, numberBytes);
      if (proof === null) return false;
      const imported = await crypto.subtle.importKey('spki', spki, key, false, ['verify']);
      return await crypto.subtle.verify(use, imported, proof, message);
    } catch {
      return false; // a key or signature of a kind that this browser does not know proves nothing
    }
  };
  return answerTo(`verify ${hash}`, [spki, given, message], ask, false);
}

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
]);

// one attribute a line, as Node writes them
function lines(name: Name): string {
  return name
    .flatMap((set) => set.map(({ type, value }) => `${SHORT_NAMES.get(type) ?? type}=${value.toString()}`))
    .join('\n');
}

const PEM = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/;

function derOf(given: string | Uint8Array): Bytes {
  if (typeof given !== 'string') return new Uint8Array(given);
  const [, base64] = PEM.exec(given) ?? [];
  if (base64 === undefined) throw new TypeError('Expected a PEM certificate');
  return Uint8Array.from(atob(base64.replaceAll(/\s/g, '')), (letter) => letter.charCodeAt(0));
}

export class X509Certificate {
  readonly raw: DeviceBuffer;
  readonly #certificate: Certificate;

  /** @throws for anything but a certificate */
  constructor(given: string | Uint8Array) {
    this.raw = DeviceBuffer.from(derOf(given));
    this.#certificate = AsnConvert.parse(this.raw, Certificate);
  }

  get subject(): string {
    return lines(this.#certificate.tbsCertificate.subject);
  }

  get issuer(): string {
    return lines(this.#certificate.tbsCertificate.issuer);
  }

  get serialNumber(): string {
    const hex = DeviceBuffer.from(this.#certificate.tbsCertificate.serialNumber).toString('hex').toUpperCase();
    return hex.replace(/^(?:00)+(?=..)/, '');
  }

  get validFromDate(): Date {
    return this.#certificate.tbsCertificate.validity.notBefore.getTime();
  }

  get validToDate(): Date {
    return this.#certificate.tbsCertificate.validity.notAfter.getTime();
  }

  get publicKey(): PublicKey {
    return { spki: new Uint8Array(AsnConvert.serialize(this.#certificate.tbsCertificate.subjectPublicKeyInfo)) };
  }

  /** Extended purposes (OIDs): Node calls them so. */
  get keyUsage(): string[] | undefined {
    const purposes = this.#extension(OID.extendedKeyUsage, ExtendedKeyUsage);
    return purposes === null ? undefined : [...purposes];
  }

  get ca(): boolean {
    return this.#extension(OID.basicConstraints, BasicConstraints)?.cA === true && this.#maySignCertificates();
  }

  checkIssued(other: X509Certificate): boolean {
    const named = AsnConvert.serialize(this.#certificate.tbsCertificate.issuer);
    const subject = AsnConvert.serialize(other.#certificate.tbsCertificate.subject);
    if (!DeviceBuffer.from(named).equals(new Uint8Array(subject)) || !other.#maySignCertificates()) return false;
    const wanted = this.#extension(OID.authorityKey, AuthorityKeyIdentifier)?.keyIdentifier;
    const held = other.#extension(OID.subjectKey, SubjectKeyIdentifier);
    return !wanted || held === null || DeviceBuffer.from(wanted.buffer).equals(new Uint8Array(held.buffer));
  }

  verify(key: PublicKey): boolean {
    const { signatureAlgorithm, signatureValue, tbsCertificateRaw } = this.#certificate;
    const hash = SIGNATURE_HASHES.get(signatureAlgorithm.algorithm);
    if (hash === undefined || tbsCertificateRaw === undefined) return false;
    return verify(hash, new Uint8Array(tbsCertificateRaw), key, new Uint8Array(signatureValue));
  }

  #maySignCertificates(): boolean {
    const usage = this.#extension(OID.keyUsage, KeyUsage);
    return usage === null || (usage.toNumber() & KeyUsageFlags.keyCertSign) !== 0;
  }

  #extension<T>(id: string, type: new () => T): T | null {
    const found = this.#certificate.tbsCertificate.extensions?.find(({ extnID }) => extnID === id);
    return found === undefined ? null : AsnConvert.parse(found.extnValue, type);
  }
}
