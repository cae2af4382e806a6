// Certificate chains for tests: root → issuing CA → leaf, with a knob for everything that can be wrong with one.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { Signer, SigningAlgorithm } from '../signer.ts';
import { CLAIM_SIGNING_EKU, type TrustAnchors } from './wasm.ts';

export interface ChainOptions {
  alg?: SigningAlgorithm;
  eku?: string;
  notBefore?: Date;
  notAfter?: Date;
  name?: string;
}

export interface TestChain {
  signer: Signer;
  trust: TrustAnchors;
  /** How often the signer was asked. */
  signatures: () => number;
}

const DAY_MS = 86_400_000;

const KEY_ALGORITHMS: Readonly<Record<SigningAlgorithm, RsaHashedKeyGenParams | EcKeyGenParams | Algorithm>> = {
  es256: { name: 'ECDSA', namedCurve: 'P-256' },
  ps256: {
    name: 'RSA-PSS',
    hash: 'SHA-256',
    modulusLength: 3072,
    publicExponent: Uint8Array.of(1, 0, 1),
  },
  ed25519: { name: 'Ed25519' },
};

const SIGN_PARAMETERS: Readonly<Record<SigningAlgorithm, Algorithm | EcdsaParams | RsaPssParams>> = {
  es256: { name: 'ECDSA', hash: 'SHA-256' },
  ps256: { name: 'RSA-PSS', saltLength: 32 },
  ed25519: { name: 'Ed25519' },
};

interface RsaHashedKeyGenParams extends Algorithm {
  hash: string;
  modulusLength: number;
  publicExponent: Uint8Array;
}
interface EcKeyGenParams extends Algorithm {
  namedCurve: string;
}
interface EcdsaParams extends Algorithm {
  hash: string;
}
interface RsaPssParams extends Algorithm {
  saltLength: number;
}
interface Algorithm {
  name: string;
}

const CA_KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A fresh chain; without options one that is trusted. */
export async function makeChain(options: ChainOptions = {}): Promise<TestChain> {
  const { alg = 'es256', eku = CLAIM_SIGNING_EKU, name = 'Test' } = options;
  x509.cryptoProvider.set(crypto);
  const now = Date.now();
  const rootKeys = await crypto.subtle.generateKey(CA_KEY, true, ['sign', 'verify']);
  const caKeys = await crypto.subtle.generateKey(CA_KEY, true, ['sign', 'verify']);
  const leafKeys = await crypto.subtle.generateKey(KEY_ALGORITHMS[alg], true, ['sign', 'verify']);
  if (!('privateKey' in leafKeys)) throw new Error('Expected a key pair');
  const rootName = `C=ES, O=${name}, CN=${name} Root`;
  const caName = `C=ES, O=${name}, CN=${name} Issuing CA`;
  const long = { notBefore: new Date(now - 3650 * DAY_MS), notAfter: new Date(now + 3650 * DAY_MS) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: rootName,
    keys: rootKeys,
    ...long,
    signingAlgorithm: CA_KEY,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(rootKeys.publicKey),
    ],
  });
  const ca = await x509.X509CertificateGenerator.create({
    subject: caName,
    issuer: rootName,
    publicKey: caKeys.publicKey,
    signingKey: rootKeys.privateKey,
    ...long,
    signingAlgorithm: CA_KEY,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(rootKeys.publicKey),
    ],
  });
  const leaf = await x509.X509CertificateGenerator.create({
    subject: `C=ES, O=${name}, CN=${name} Signer`,
    issuer: caName,
    publicKey: leafKeys.publicKey,
    signingKey: caKeys.privateKey,
    notBefore: options.notBefore ?? new Date(now - DAY_MS),
    notAfter: options.notAfter ?? new Date(now + 60 * DAY_MS),
    signingAlgorithm: CA_KEY,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([eku], true),
      await x509.SubjectKeyIdentifierExtension.create(leafKeys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  let signatures = 0;
  const signer: Signer = {
    alg,
    certificateChainDer: [new Uint8Array(leaf.rawData), new Uint8Array(ca.rawData)],
    async sign(tbs) {
      signatures++;
      return new Uint8Array(await crypto.subtle.sign(SIGN_PARAMETERS[alg], leafKeys.privateKey, new Uint8Array(tbs)));
    },
  };
  return { signer, trust: { anchorsPem: root.toString('pem') }, signatures: () => signatures };
}
