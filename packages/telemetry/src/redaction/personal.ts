// Detectors of personal data: addresses, numbers of phones, cards, accounts and persons. Candidates by a pattern that is
// linear (bounded repetitions, no nesting of unbounded ones), certainty by a checksum.
import { luhn, mod97 } from './checksums.ts';
import type { Detector } from './detector.ts';
import {
  isBeRijksregister,
  isBrCpf,
  isChAhv,
  isDeSteuerId,
  isEsDni,
  isFrNir,
  isInAadhaar,
  isItCodiceFiscale,
  isNlBsn,
  isPlPesel,
  isUkNino,
  isUsSsn,
} from './national-ids.ts';

const bare = (text: string): string => text.replace(/[^0-9A-Za-z]/g, '').toUpperCase();
const digits = (text: string): string => text.replace(/\D/g, '');

/** Country → length of its IBAN: SWIFT IBAN registry, release 99. */
const IBAN_LENGTHS = new Map(
  Object.entries({
    AD: 24,
    AE: 23,
    AL: 28,
    AT: 20,
    AZ: 28,
    BA: 20,
    BE: 16,
    BG: 22,
    BH: 22,
    BI: 27,
    BR: 29,
    BY: 28,
    CH: 21,
    CR: 22,
    CY: 28,
    CZ: 24,
    DE: 22,
    DJ: 27,
    DK: 18,
    DO: 28,
    EE: 20,
    EG: 29,
    ES: 24,
    FI: 18,
    FK: 18,
    FO: 18,
    FR: 27,
    GB: 22,
    GE: 22,
    GI: 23,
    GL: 18,
    GR: 27,
    GT: 28,
    HN: 28,
    HR: 21,
    HU: 28,
    IE: 22,
    IL: 23,
    IQ: 23,
    IS: 26,
    IT: 27,
    JO: 30,
    KW: 30,
    KZ: 20,
    LB: 28,
    LC: 32,
    LI: 21,
    LT: 20,
    LU: 20,
    LV: 21,
    LY: 25,
    MC: 27,
    MD: 24,
    ME: 22,
    MK: 19,
    MN: 20,
    MR: 27,
    MT: 31,
    MU: 30,
    NI: 28,
    NL: 18,
    NO: 15,
    OM: 23,
    PK: 24,
    PL: 28,
    PS: 29,
    PT: 25,
    QA: 29,
    RO: 24,
    RS: 22,
    RU: 33,
    SA: 24,
    SC: 31,
    SD: 18,
    SE: 24,
    SI: 19,
    SK: 24,
    SM: 27,
    SO: 23,
    ST: 25,
    SV: 28,
    TL: 23,
    TN: 24,
    TR: 26,
    UA: 29,
    VA: 22,
    VG: 24,
    XK: 20,
    YE: 30,
  }),
);

/** Length of the part of the candidate that is an IBAN: what follows it may look like more of it. */
function ibanLength(candidate: string): number | undefined {
  const expected = IBAN_LENGTHS.get(candidate.slice(0, 2).toUpperCase());
  if (expected === undefined) return undefined;
  let end = 0;
  // count characters, separators beside
  for (let seen = 0; seen < expected; end++) {
    if (end >= candidate.length) return undefined;
    if (/[0-9A-Za-z]/.test(candidate[end]!)) seen++;
  }
  const iban = bare(candidate.slice(0, end));
  if (/[0-9A-Za-z]/.test(candidate[end] ?? '')) return undefined;
  return mod97(iban.slice(4) + iban.slice(0, 4)) === 1 ? end : undefined;
}

/** Issuers: first digits and lengths (ISO/IEC 7812, "Payment card number" of the networks' public documents). */
const ISSUERS: readonly (readonly [name: string, prefix: RegExp, lengths: readonly number[]])[] = [
  ['visa', /^4/, [13, 16, 19]],
  ['mastercard', /^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  ['amex', /^3[47]/, [15]],
  ['discover', /^(?:6011|64[4-9]|65)/, [16, 19]],
  ['diners', /^(?:30[0-5]|3095|36|3[89])/, [14, 16, 19]],
  ['jcb', /^35(?:2[89]|[3-8])/, [16, 17, 18, 19]],
  ['unionpay', /^62/, [16, 17, 18, 19]],
  ['maestro', /^(?:5018|5020|5038|5893|6304|6759|676[1-3])/, [12, 13, 14, 15, 16, 17, 18, 19]],
  ['mir', /^220[0-4]/, [16, 17, 18, 19]],
];

const SMALL_GROUP = /(?:^|\D)\d{1,2}(?:\D|$)/;

export function isCard(text: string): boolean {
  const number = digits(text);
  if (/^(\d)\1*$/.test(number) || !luhn(number)) return false;
  // separators come alone and of one kind, and groups have three digits or more: lists of numbers have fewer
  if (new Set(text.replace(/\d/g, '')).size > 1 || SMALL_GROUP.test(text)) return false;
  return ISSUERS.some(([, prefix, lengths]) => prefix.test(number) && lengths.includes(number.length));
}

const CARD_RUN = /(?<![\d.,_])\d(?:[ \-\u00a0]?\d){11,}(?![.,_]\d)/g;
const CARD_LENGTHS = [19, 18, 17, 16, 15, 14, 13, 12];

const UUID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/gi;
/** Of hashes and ids in hexadecimal: a span's, an object's (24), a trace's, SHA-1 and longer. Between, letters may be a word: `cc4111…`. */
const isHashLength = (length: number): boolean => length === 16 || length >= 24;
const MAX_HEX = 128;
const WORD_BEFORE = /[0-9A-Za-z]+$/;
const WORD_AFTER = /^[0-9A-Za-z]+/;
/** The field beside it, of a `traceparent` for one, is hexadecimal with a letter in it. */
const HEX_FIELD_BEFORE = /(?<![0-9A-Za-z])(?=\d*[a-f])[0-9a-f]{8,}-$/i;
const HEX_FIELD_AFTER = /^-(?=\d*[a-f])[0-9a-f]{8,}(?![0-9A-Za-z])/i;

/** Whether digits are a piece of a hexadecimal id, which passes Luhn's check in one of ten cases. */
function isInHex(text: string, start: number, end: number): boolean {
  const before = text.slice(Math.max(0, start - MAX_HEX), start);
  const after = text.slice(end, end + MAX_HEX);
  if (HEX_FIELD_BEFORE.test(before) || HEX_FIELD_AFTER.test(after)) return true;
  const beside = (WORD_BEFORE.exec(before)?.[0] ?? '') + (WORD_AFTER.exec(after)?.[0] ?? '');
  return /^[0-9a-f]*[a-f][0-9a-f]*$/i.test(beside) && isHashLength(beside.length + end - start);
}

/** Cards in runs of digits and single separators: each begins and ends where a group of digits does. */
function* cards(text: string): Generator<readonly [number, number]> {
  let uuids: (readonly [number, number])[] | undefined;
  for (const { 0: run, index } of text.matchAll(CARD_RUN)) {
    uuids ??= Array.from(text.matchAll(UUID), ({ index: at }) => [at, at + 36] as const);
    const isCardAt = (start: number, end: number): boolean =>
      isCard(text.slice(start, end)) &&
      !uuids!.some(([from, until]) => start < until && end > from) &&
      !isInHex(text, start, end);
    const at: number[] = [];
    for (let i = 0; i < run.length; i++) if (run.charCodeAt(i) >= 48 && run.charCodeAt(i) <= 57) at.push(i);
    for (let first = 0; first + 12 <= at.length; first++) {
      if (first > 0 && at[first - 1] === at[first]! - 1) continue;
      const length = CARD_LENGTHS.find((digitCount) => {
        const last = at[first + digitCount - 1];
        if (last === undefined || at[first + digitCount] === last + 1) return false;
        return isCardAt(index + at[first]!, index + last + 1);
      });
      if (length === undefined) continue;
      yield [index + at[first]!, index + at[first + length - 1]! + 1];
      first += length - 1;
    }
  }
}

/** Codes that the ITU gave out, by their first digits (E.164 list of 2024). */
const COUNTRY_CODE =
  /^(?:1[2-9]|7|2[07]|2[1-6]\d|29[01789]|3[0-469]|3[578]\d|4[013-9]|42\d|5[1-8]|50\d|59\d|6[0-6]|6[78]\d|69[0-2]|8[1246]|8[058]\d|9[0-58]|9[679]\d)/;

function isInternationalPhone(text: string): boolean {
  const number = digits(text).replace(/^00/, '');
  if (number.length < 8 || number.length > 15 || !COUNTRY_CODE.test(number)) return false;
  return !number.startsWith('1') || (number.length === 11 && /^1[2-9]\d\d[2-9]/.test(number));
}

function isNationalPhone(text: string): boolean {
  const number = digits(text);
  if (number.length < 9 || number.length > 12) return false;
  // dates, versions and lists of small numbers
  if (/^\d{1,2}([./-])\d{1,2}\1(?:19|20)\d\d/.test(text) || number.startsWith('00')) return false;
  return !/^(\d)\1*$/.test(number);
}

export const PERSONAL: readonly Detector[] = [
  {
    id: 'email',
    name: 'E-mail address',
    kind: 'personal',
    example: 'ada.lovelace@example.org',
    trigger: /@/,
    // RFC 5321: local part ≤ 64, labels ≤ 63. The look-behind keeps it from starting at each letter of a long word.
    pattern:
      /(?<![\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-])[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-][\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]{0,63}@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,8}(?:xn--[a-zA-Z0-9-]{1,59}|\p{L}{2,63})(?![\p{L}\p{N}])/gu,
    check: (text) => !/^\.|\.\.|\.@|^git@/.test(text) && !/\.(?:png|jpe?g|gif|svg|webp|js|ts|css)$/i.test(text),
    canonical: (text) => text.toLowerCase(),
  },
  {
    id: 'phone',
    name: 'Phone number, international',
    kind: 'personal',
    example: '+49 30 901820',
    trigger: /(?:\+|\b00)\(?\d/,
    pattern: /(?<![\w+.])(?:\+|00)\(?\d(?:[ .\-/()\u00a0]{0,2}\d){7,14}(?!\d)/g,
    check: isInternationalPhone,
    canonical: (text) => digits(text).replace(/^00/, ''),
  },
  {
    id: 'phone-national',
    name: 'Phone number, national form',
    kind: 'personal',
    example: '(212) 555-0187',
    trigger: /\d[ .\-/)]{1,2}\d/,
    pattern:
      /(?<![\w+.,:/-])(?:\([2-9]\d{2}\) ?[2-9]\d{2}[ .-]\d{4}|[2-9]\d{2}([ .-])[2-9]\d{2}\1\d{4}|\(0\d{1,4}\)[ ]?\d{2,8}(?:[ .-]\d{2,8}){0,4}|0\d{1,4}(?:[ /-]\d{2,8}){1,5}|0[1-9](?:\.\d{2}){4})(?![\w.,:/-]*\d)/g,
    check: isNationalPhone,
    canonical: digits,
  },
  {
    id: 'iban',
    name: 'Bank account (IBAN)',
    kind: 'personal',
    example: 'DE89 3704 0044 0532 0130 00',
    trigger: /[A-Za-z]{2}\d{2}[ -]?[0-9A-Za-z]/,
    pattern: /(?<![0-9A-Za-z])[A-Za-z]{2}\d{2}(?:[ \-\u00a0]?[0-9A-Za-z]){11,34}/g,
    cut: ibanLength,
    canonical: bare,
  },
  {
    id: 'card',
    name: 'Payment card',
    kind: 'personal',
    example: '4111 1111 1111 1111',
    trigger: /\d(?:[ \-\u00a0]?\d){11}/,
    find: cards,
    canonical: digits,
  },
  {
    id: 'us-ssn',
    name: 'US social security number',
    kind: 'personal',
    example: '536-22-8726',
    trigger: /\d{3}[ -]?\d{2}[ -]?\d{4}/,
    pattern: /(?<![\w.-])\d{3}([ -])\d{2}\1\d{4}(?![\w-]|\.\d)/g,
    contextual: { words: /ssn|social security/i, pattern: /(?<![\w.-])\d{9}(?![\w-]|\.\d)/g },
    check: (text) => isUsSsn(digits(text)),
    canonical: digits,
  },
  {
    id: 'de-steuer-id',
    name: 'German tax id (Steuer-ID)',
    kind: 'personal',
    example: '86 095 742 719',
    trigger: /\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}/,
    pattern: /(?<![\w.,+-])[1-9]\d[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}(?![\w-]|[.,]\d)/g,
    check: (text) => isDeSteuerId(digits(text)),
    canonical: digits,
  },
  {
    id: 'fr-nir',
    name: 'French social security number (NIR)',
    kind: 'personal',
    example: '2 55 08 14 168 025 38',
    trigger: /[1278][ ]?\d{2}[ ]?\d{2}[ ]?\d[\dAB]/,
    pattern: /(?<![\w.,-])[1278][ ]?\d{2}[ ]?\d{2}[ ]?\d[\dAB][ ]?\d{3}[ ]?\d{3}[ ]?\d{2}(?![\w-]|[.,]\d)/g,
    check: (text) => isFrNir(bare(text)),
    canonical: bare,
  },
  {
    id: 'es-dni',
    name: 'Spanish DNI and NIE',
    kind: 'personal',
    example: '12345678Z',
    trigger: /\d{7}[ -]?[A-Za-z]|\d{2}\.\d{3}\.\d{3}/,
    pattern: /(?<![\w.,-])(?:\d{8}|\d{2}\.\d{3}\.\d{3}|[XYZ]-?\d{7})[ -]?[A-HJ-NP-TV-Z](?![\w-])/g,
    check: (text) => isEsDni(bare(text)),
    canonical: bare,
  },
  {
    id: 'it-codice-fiscale',
    name: 'Italian codice fiscale',
    kind: 'personal',
    example: 'RSSMRA85T10A562S',
    trigger: /[A-Za-z]{6}[\dL-Vl-v]{2}[A-Ta-t][\dL-Vl-v]{2}[A-Za-z][\dL-Vl-v]{3}[A-Za-z]/,
    pattern:
      /(?<![0-9A-Za-z])[A-Za-z]{6}[\dL-Vl-v]{2}[A-Ta-t][\dL-Vl-v]{2}[A-Za-z][\dL-Vl-v]{3}[A-Za-z](?![0-9A-Za-z])/g,
    check: (text) => isItCodiceFiscale(bare(text)),
    canonical: bare,
  },
  {
    id: 'nl-bsn',
    name: 'Dutch BSN',
    kind: 'personal',
    example: 'BSN 111222333',
    trigger: /bsn|burgerservice|sofi|\d{4}\.\d{2}\.\d{3}/i,
    pattern: /(?<![\w.,-])\d{4}\.\d{2}\.\d{3}(?![\w-]|[.,]\d)/g,
    contextual: { words: /bsn|burgerservice|sofi/i, pattern: /(?<![\w.,-])\d{9}(?![\w-]|[.,]\d)/g },
    check: (text) => isNlBsn(digits(text)),
    canonical: digits,
  },
  {
    id: 'uk-nino',
    name: 'UK National Insurance number',
    kind: 'personal',
    example: 'AB 12 34 56 C',
    trigger: /[A-Za-z]{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-Da-d]/,
    pattern: /(?<![0-9A-Za-z])[A-Za-z]{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-Da-d](?![0-9A-Za-z])/g,
    check: (text) => isUkNino(bare(text)),
    canonical: bare,
  },
  {
    id: 'pl-pesel',
    name: 'Polish PESEL',
    kind: 'personal',
    example: '44051401359',
    trigger: /\d{11}/,
    pattern: /(?<![\w.,+-])\d{11}(?![\w-]|[.,]\d)/g,
    check: isPlPesel,
  },
  {
    id: 'br-cpf',
    name: 'Brazilian CPF',
    kind: 'personal',
    example: '529.982.247-25',
    trigger: /\d{3}\.?\d{3}\.?\d{3}-?\d{2}/,
    pattern: /(?<![\w.,+-])(?:\d{3}\.\d{3}\.\d{3}-\d{2}|\d{9}-?\d{2})(?![\w-]|[.,]\d)/g,
    check: (text) => isBrCpf(digits(text)),
    canonical: digits,
  },
  {
    id: 'in-aadhaar',
    name: 'Indian Aadhaar number',
    kind: 'personal',
    example: '2341 2341 2346',
    trigger: /[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}/,
    pattern: /(?<![\w.,+-])(?<!\d )[2-9]\d{3}([ -])\d{4}\1\d{4}(?![\w-]|[ .,]\d)/g,
    contextual: { words: /aadha?ar|uidai/i, pattern: /(?<![\w.,+-])[2-9]\d{11}(?![\w-]|[.,]\d)/g },
    check: (text) => isInAadhaar(digits(text)),
    canonical: digits,
  },
  {
    id: 'ch-ahv',
    name: 'Swiss AHV number',
    kind: 'personal',
    example: '756.9217.0769.85',
    trigger: /756[.]?\d{4}/,
    pattern: /(?<![\w.,-])756\.?\d{4}\.?\d{4}\.?\d{2}(?![\w-]|[.,]\d)/g,
    check: (text) => isChAhv(digits(text)),
    canonical: digits,
  },
  {
    id: 'be-rrn',
    name: 'Belgian national register number',
    kind: 'personal',
    example: '85.07.30-033.28',
    trigger: /\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}/,
    pattern: /(?<![\w.,-])\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}(?![\w-]|[.,]\d)/g,
    check: (text) => isBeRijksregister(digits(text)),
    canonical: digits,
  },
  {
    id: 'ip-address',
    name: 'IP address',
    kind: 'personal',
    offByDefault: true,
    example: '203.0.113.7',
    trigger: /\d\.\d{1,3}\.\d|[0-9a-fA-F]:[0-9a-fA-F:]/,
    pattern:
      /(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)|(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])|(?<![\w:.])(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?(?![\w:.])/g,
    check: (text) => text.length > 4 && /\d/.test(text) && !/^(?:127\.|0\.0\.0\.0$|::1?$)/.test(text),
    canonical: (text) => text.toLowerCase(),
  },
];
