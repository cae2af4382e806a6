// What a person recognises a session of theirs by. Kinds alone: a whole user agent would tell too much, and lies anyway.

const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:A|iOS)?\//, 'Edge'],
  [/\b(?:OPR|Opera)\//, 'Opera'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Chrome|CriOS|HeadlessChrome)\//, 'Chrome'],
  [/\bVersion\/[\d.]+.*\bSafari\//, 'Safari'],
  [/^curl\//, 'curl'],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:iPhone|iPad|iPod)\b/, 'iOS'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];
// longer ones are not looked at whole
const MAX_LENGTH = 512;

/** Such as "Firefox on Linux"; null when nothing in a user agent is known. */
export function deviceOf(userAgent: string | null): string | null {
  const text = (userAgent ?? '').slice(0, MAX_LENGTH);
  const nameIn = (kinds: readonly (readonly [RegExp, string])[]): string | undefined =>
    kinds.find(([pattern]) => pattern.test(text))?.[1];
  const [browser, system] = [nameIn(BROWSERS), nameIn(SYSTEMS)];
  if (browser === undefined) return system === undefined ? null : `a program on ${system}`;
  return system === undefined ? browser : `${browser} on ${system}`;
}
