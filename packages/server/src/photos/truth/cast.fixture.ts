// The photos, certificates and time stamps that the histories are made of; made once, by the routes of a real room.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeChain, type TestChain } from '@lumatrace/provenance/c2pa/chain.fixture.ts';
import { makeAuthority, type TestAuthority } from '@lumatrace/provenance/timestamp/authority.fixture.ts';
import sharp from 'sharp';
import type { ManifestCredentials } from '../images.ts';
import { openStage, type Protected, type Stage } from './stage.fixture.ts';

export interface Cast {
  stage: Stage;
  /** The hero: a JPEG of 1024 px, protected. */
  own: Protected;
  /** Another photo of the same tenant, and one of another tenant of the same installation. */
  other: Protected;
  theirs: Protected;
  png: Protected;
  webp: Protected;
  generated: Protected;
  /** Protected a second time, from the protected file. */
  twice: Protected;
  /** Whose leaf has ended since; the second with a time stamp from before. */
  expired: Protected;
  expiredStamped: Protected;
  /** Whose leaf was called back since; the second with a time stamp from before. */
  revoked: Protected;
  revokedStamped: Protected;
  stamped: Protected;
  /** Stamped by an authority that nobody here believes. */
  wronglyStamped: Protected;
  /** Registered, never protected. */
  registered: string;
  /** Trusted roots whose leaves are for web servers, and not valid yet. */
  webServer: TestChain;
  early: TestChain;
}

const DAY_MS = 86_400_000;
/** Long enough for two protections on a busy machine. */
const SHORT_LIFE_MS = 7_000;
const TOKEN_BYTES = 4_096;

const stampedBy = ({ stamp }: TestAuthority): Partial<ManifestCredentials> => ({
  timestamper: { maxTokenBytes: async () => TOKEN_BYTES, stamp: (digest) => stamp(digest) },
});

const signedWith = ({ signer, trust }: TestChain): Partial<ManifestCredentials> => ({
  signer,
  trustAnchorsPem: trust.anchorsPem,
});

export async function openCast(): Promise<Cast> {
  const stage = await openStage();
  const { sunset, dandelion, stream } = stage.photo;
  const own = stage.credentials;
  const during = async (change: Partial<ManifestCredentials>): Promise<Protected> => {
    stage.credentials = { ...own, ...change };
    return stage.protect(sunset).finally(() => (stage.credentials = own));
  };
  const endsMs = Date.now() + SHORT_LIFE_MS;
  const short = await makeChain({ notAfter: new Date(endsMs) });
  const withdrawn = await makeChain();
  const cast = {
    stage,
    expired: await during(signedWith(short)),
    expiredStamped: await during({ ...signedWith(short), ...stampedBy(stage.authority) }),
    revoked: await during(signedWith(withdrawn)),
    revokedStamped: await during({ ...signedWith(withdrawn), ...stampedBy(stage.authority) }),
    stamped: await during(stampedBy(stage.authority)),
    wronglyStamped: await wronglyStamped(during),
    own: await stage.protect(sunset),
    other: await stage.protect(dandelion),
    theirs: await stage.protect(stream, {}, await stage.newTenant()),
    png: await stage.protect(await sharp(sunset).png().toBuffer()),
    webp: await stage.protect(await sharp(sunset).webp({ quality: 92 }).toBuffer()),
    generated: await stage.protect(dandelion, { digitalSourceType: 'trainedAlgorithmicMedia' }),
    registered: await stage.register(stream),
    webServer: await makeChain({ eku: '1.3.6.1.5.5.7.3.1' }),
    early: await makeChain({ notBefore: new Date(Date.now() + DAY_MS) }),
  };
  const twice = await stage.protect(cast.own.image);
  const trusted = [stage.chain, short, withdrawn, cast.webServer, cast.early];
  const leaf = withdrawn.signer.certificateChainDer[0] ?? new Uint8Array();
  stage.credentials = {
    ...own,
    trustAnchorsPem: trusted.map(({ trust }) => trust.anchorsPem).join('\n'),
    revocations: [{ certificateSha256: createHash('sha256').update(leaf).digest('hex'), revokedAt: new Date() }],
  };
  await sleep(Math.max(0, endsMs + 1_000 - Date.now()));
  return { ...cast, twice };
}

/** The room believes the authority while it protects, for its own check refuses otherwise; and not afterwards. */
async function wronglyStamped(
  during: (change: Partial<ManifestCredentials>) => Promise<Protected>,
): Promise<Protected> {
  const nobody = await makeAuthority();
  return during({ ...stampedBy(nobody), timestampAnchorsPem: nobody.rootPem });
}
