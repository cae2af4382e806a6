// The verdict in words: what the answer of verify means to somebody who holds the picture.
import type { Finding, Verdict } from '../../api/photos.ts';
import { log10UpperTail } from '../../format/normal.ts';
import { probability } from '../../format/number.ts';

export type Tone = 'ok' | 'warn' | 'error';

export interface Spoken {
  tone: Tone;
  headline: string;
  explanation: string;
}

/** Fail closed: only `authentic: true` is ever good news. */
export function spoken({ authentic, c2paStatus, watermarkStatus, changedRegions, findings }: Verdict): Spoken {
  const isFound = (code: string): boolean => findings.some((finding) => finding.code === code);
  if (authentic) {
    return {
      tone: 'ok',
      headline: 'Authentic',
      explanation: 'This is the photo as it was protected: signature, watermark and registration agree.',
    };
  }
  if ((changedRegions ?? []).length > 0) {
    return {
      tone: 'error',
      headline: 'Not authentic: parts of this photo were changed',
      explanation: 'Its watermark is in the picture, but not everywhere. The map shows where it is missing.',
    };
  }
  if (c2paStatus === 'TAMPERED') {
    return {
      tone: 'error',
      headline: 'Not authentic: the file was changed',
      explanation: 'Its credentials and its content no longer belong together.',
    };
  }
  if (c2paStatus === 'INVALID') {
    return {
      tone: 'error',
      headline: 'Not authentic: its credentials cannot be trusted',
      explanation: 'They can be read, but their signer or their form does not stand the checks.',
    };
  }
  if (isFound('org.lumatrace.registration.manifestDiffers')) {
    return {
      tone: 'error',
      headline: 'Not authentic: its credentials are those of another picture',
      explanation:
        watermarkStatus === 'DETECTED'
          ? 'They are intact and trusted, and were not issued for this photo, though its watermark is in the picture.'
          : 'They are intact and trusted, and were not issued for this photo.',
    };
  }
  if (watermarkStatus === 'DETECTED' && isFound('org.lumatrace.registration.looksUnlike')) {
    return {
      tone: 'error',
      headline: 'Not authentic: it does not look like this photo',
      explanation:
        'The watermark of this photo is in it, but the picture is another one, or was turned or mirrored. A watermark can be copied.',
    };
  }
  if (watermarkStatus === 'DETECTED') {
    return {
      tone: 'warn',
      headline: 'Not authentic, but it comes from this photo',
      explanation:
        'The watermark of this photo is in the picture; the signed credentials are not. Saving, shrinking or sharing usually removes them.',
    };
  }
  return {
    tone: 'error',
    headline: 'Not authentic',
    explanation:
      watermarkStatus === 'MARGINAL'
        ? 'Something like this photo’s watermark is there, too weak to count.'
        : 'Nothing in this file ties it to this photo.',
  };
}

/** What the watermark's score means; undefined when nothing was measured. */
export function chanceOf({ confidenceScore, watermarkStatus }: Verdict): string | undefined {
  if (confidenceScore === null || !Number.isFinite(confidenceScore)) return undefined;
  const chance = probability(log10UpperTail(confidenceScore));
  const score = `score ${confidenceScore.toFixed(1)}`;
  if (watermarkStatus === 'NOT_FOUND')
    return `Watermark not found: ${score}; a picture without it reaches that with probability ${chance}.`;
  return `Watermark ${watermarkStatus === 'DETECTED' ? 'found' : 'uncertain'}: ${score}; a picture without it reaches that with probability ${chance}.`;
}

const TAMPERING: Record<NonNullable<Verdict['tamperClass']>, string> = {
  NONE: 'No change was seen.',
  COMPRESSION: 'It was compressed again.',
  RESIZE: 'Its size was changed.',
  CROP: 'A part was cut off.',
  STRUCTURAL_ALTERATION: 'Parts of the picture were altered.',
};

export function changeSeen({ tamperClass }: Verdict): string {
  return tamperClass === null ? 'There was nothing to compare it with.' : TAMPERING[tamperClass];
}

/** The order in which a picture's story is told. */
export const SUBJECTS = [
  ['file', 'The file'],
  ['registration', 'Registration'],
  ['c2pa', 'Content credentials'],
  ['watermark', 'Watermark'],
  ['decision', 'Decision'],
] as const satisfies readonly (readonly [Finding['subject'], string])[];

/** Findings by subject, in the order of the story; subjects without findings are left out. */
export function timelineOf(findings: readonly Finding[]): { title: string; findings: Finding[] }[] {
  return SUBJECTS.map(([subject, title]) => ({
    title,
    findings: findings.filter((finding) => finding.subject === subject),
  })).filter((stage) => stage.findings.length > 0);
}
