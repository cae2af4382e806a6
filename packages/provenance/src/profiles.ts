// What is written into a generated picture, by the rule that asks for it. A profile names the facts that must be given; one
// that is missing is refused, never guessed. docs/guides/profiles.md: which sentence of a rule each fact serves.
import type { DigitalSourceType } from './c2pa/assertions.ts';

/** What a caller says about the model that made a picture. */
export interface GeneratorFacts {
  /** Who offers the system. */
  readonly aiProvider?: string;
  readonly aiSystem?: string;
  readonly aiSystemVersion?: string;
  /** When the picture was made; the moment of signing when absent. */
  readonly aiCreatedAt?: Date;
  readonly digitalSourceType?: string;
}

/** The same, complete for its profile: the manifest states it. */
export interface Disclosure {
  readonly profile: Profile;
  readonly provider?: string;
  readonly system: string;
  readonly version?: string;
  readonly createdAt: Date;
}

interface Rule {
  readonly title: string;
  readonly requires: readonly ('aiProvider' | 'aiSystem' | 'aiSystemVersion')[];
}

/** Names are part of the API. */
export const PROFILES = {
  'ai-generated': { title: 'AI-generated', requires: ['aiSystem'] },
  'eu-ai-act-art-50': { title: 'AI-generated (EU AI Act, Art. 50)', requires: ['aiProvider', 'aiSystem'] },
  'ca-sb-942': {
    title: 'AI-generated (California SB 942)',
    requires: ['aiProvider', 'aiSystem', 'aiSystemVersion'],
  },
} as const satisfies Record<string, Rule>;

export type Profile = keyof typeof PROFILES;
export const PROFILE_NAMES = Object.keys(PROFILES) as [Profile, ...Profile[]];

/** Source types that say a model made the picture, whole or in part; the first is meant when none is given. */
export const GENERATED_SOURCE_TYPES = [
  'trainedAlgorithmicMedia',
  'compositeWithTrainedAlgorithmicMedia',
] as const satisfies readonly DigitalSourceType[];

/** Clocks of others may be ahead of ours by this much. */
const MAX_AHEAD_MS = 5 * 60_000;

/** What the caller said does not make a disclosure of this profile. */
export class ProfileError extends Error {
  readonly code = 'VALIDATION_FAILED';
  readonly profile: Profile;
  readonly field: string;

  constructor(profile: Profile, field: string, message: string) {
    super(`${field}: ${message}`);
    this.name = 'ProfileError';
    this.profile = profile;
    this.field = field;
  }
}

/**
 * The disclosure of a profile and the source type that goes with it.
 * @throws ProfileError naming the first fact that is missing, or that contradicts the profile
 */
export function disclosureOf(
  profile: Profile,
  facts: GeneratorFacts,
  now: Date,
): { disclosure: Disclosure; digitalSourceType: DigitalSourceType } {
  for (const field of PROFILES[profile].requires)
    if (facts[field] === undefined) throw new ProfileError(profile, field, `Expected it for the profile ${profile}.`);
  const { aiProvider, aiSystem = '', aiSystemVersion, aiCreatedAt = now } = facts;
  if (aiCreatedAt.getTime() > now.getTime() + MAX_AHEAD_MS)
    throw new ProfileError(profile, 'aiCreatedAt', 'Expected a moment that is not in the future.');
  const disclosure = {
    profile,
    system: aiSystem,
    createdAt: aiCreatedAt,
    ...(aiProvider === undefined ? {} : { provider: aiProvider }),
    ...(aiSystemVersion === undefined ? {} : { version: aiSystemVersion }),
  };
  return { disclosure, digitalSourceType: sourceTypeOf(profile, facts.digitalSourceType) };
}

function sourceTypeOf(profile: Profile, name: string | undefined): DigitalSourceType {
  if (name === undefined) return GENERATED_SOURCE_TYPES[0];
  const found = GENERATED_SOURCE_TYPES.find((type) => type === name);
  if (found !== undefined) return found;
  const known = GENERATED_SOURCE_TYPES.join(' or ');
  throw new ProfileError(profile, 'digitalSourceType', `Expected ${known} with the profile ${profile}.`);
}
