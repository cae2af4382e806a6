// What the C2PA library is told wherever it runs, in Node and in a browser: whom to believe, and that it uses no network.

/** The key purpose of C2PA claim signing (conformance programme); a leaf without it is not trusted. */
export const CLAIM_SIGNING_EKU = '1.3.6.1.4.1.62558.2.1';

/** The validator or the builder trapped, or refused in a way that is no verdict. */
export class C2paEngineError extends Error {
  readonly code = 'C2PA_ENGINE_FAILED';
  /** True when the instance itself broke; the next call starts a fresh one. */
  readonly trapped: boolean;
  constructor(message: string, trapped: boolean, options?: ErrorOptions) {
    super(message, options);
    this.trapped = trapped;
  }
}

/** Certificates that a signer, or a time stamp, must lead to. */
export interface TrustAnchors {
  /** PEM certificates, one after another. */
  readonly anchorsPem: string;
  /** Those for time stamps, when they are others. */
  readonly timestampAnchorsPem?: string;
  /** Extended key usages (OIDs) of which a signer's certificate must have one; claim signing alone by default. */
  readonly keyPurposes?: readonly string[];
}

/** The key purposes in force. */
export function keyPurposesOf({ keyPurposes }: TrustAnchors): readonly string[] {
  return keyPurposes ?? [CLAIM_SIGNING_EKU];
}

// the library has one list for both: who may sign, and who may tell the time, is judged once more by ourselves
function allAnchors({ anchorsPem, timestampAnchorsPem }: TrustAnchors): string {
  const isSame = timestampAnchorsPem === undefined || timestampAnchorsPem === anchorsPem;
  return isSame ? anchorsPem : `${anchorsPem}\n${timestampAnchorsPem}`;
}

/** Every setting that decides a verdict is written down, so that a change of the library's defaults changes nothing. */
export function librarySettings(trust: TrustAnchors): string {
  const anchors = allAnchors(trust);
  return JSON.stringify({
    version: 1,
    trust: {
      // it takes an empty text for a broken list; without one it trusts nobody
      ...(anchors.trim() === '' ? {} : { trust_anchors: anchors }),
      trust_config: keyPurposesOf(trust).join('\n'),
    },
    cawg_trust: { verify_trust_list: true },
    verify: {
      verify_after_reading: true,
      verify_after_sign: false, // our own check reads the final bytes again
      verify_trust: true,
      verify_timestamp_trust: true,
      ocsp_fetch: false,
      remote_manifest_fetch: false,
      strict_v1_validation: false,
    },
    core: { allowed_network_hosts: [], decode_identity_assertions: false },
    builder: {
      thumbnail: { enabled: false }, // a thumbnail would keep pixels
      actions: {
        auto_created_action: { enabled: false },
        auto_opened_action: { enabled: false },
        auto_placed_action: { enabled: false },
      },
      auto_timestamp_assertion: { enabled: false },
    },
  });
}

/** Whether the library's refusal says that there is no store at all. */
export const isNoManifest = (message: string): boolean => /JumbfNotFound|no JUMBF data found/i.test(message);
