// National numbers of persons: each check says whether the digits can be one, by the rules that its office publishes.
import { iso7064Mod11x10, mod97, verhoeff, weighted } from './checksums.ts';

const isRepeated = (digits: string): boolean => /^(\d)\1*$/.test(digits);

function isDate(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** US: SSA, "randomization": no area 000, 666 or 900-999, no group 00, no serial 0000. */
export function isUsSsn(digits: string): boolean {
  if (digits.length !== 9 || digits === '078051120' || digits === '219099999') return false;
  return !/^(?:000|666|9)|^.{3}00|0000$/.test(digits);
}

/** DE: eleven digits, of the first ten one twice or three times; ISO 7064 MOD 11,10 (Bundeszentralamt für Steuern). */
export function isDeSteuerId(digits: string): boolean {
  if (!/^[1-9]\d{10}$/.test(digits)) return false;
  const counts = new Map<string, number>();
  for (const digit of digits.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  return repeated.length === 1 && repeated[0]! <= 3 && iso7064Mod11x10(digits);
}

/** FR: sex, year, month, department (2A and 2B are Corsica), 97 minus the rest by 97 (INSEE). */
export function isFrNir(text: string): boolean {
  const found = /^[1278]\d\d(\d\d)(\d[\dAB])\d{6}(\d\d)$/.exec(text);
  if (found === null) return false;
  const month = Number(found[1]);
  if (month === 0 || (month > 12 && month < 20) || (month > 42 && month < 50)) return false;
  const body = text.slice(0, 13).replace('2A', '19').replace('2B', '18');
  return /^\d{13}$/.test(body) && 97 - mod97(body) === Number(found[3]);
}

const DNI_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';

/** ES: DNI and NIE, the letter is the number by 23 (Real Decreto 1553/2005). */
export function isEsDni(text: string): boolean {
  const number = text.slice(0, -1).replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter)));
  return /^\d{8}$/.test(number) && DNI_LETTERS[Number(number) % 23] === text.at(-1);
}

const CF_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/** IT: codice fiscale, letters L M N P Q R S T U V may stand for digits (Decreto 12 marzo 1974). */
export function isItCodiceFiscale(text: string): boolean {
  if (!/^[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPR-T][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]$/.test(text)) return false;
  let sum = 0;
  // odd places through the table, even ones as they are; a digit counts as the letter of its value
  for (let i = 0; i < 15; i++) {
    const code = text.charCodeAt(i);
    const value = code >= 65 ? code - 65 : code - 48;
    sum += i % 2 === 0 ? CF_ODD[value]! : value;
  }
  return String.fromCharCode(65 + (sum % 26)) === text.at(-1);
}

/** NL: eleven test with −1 for the last digit (Rijksdienst voor Identiteitsgegevens). */
export function isNlBsn(digits: string): boolean {
  return digits.length === 9 && !isRepeated(digits) && weighted(digits, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0;
}

/** UK: prefix letters that are given out, suffix A to D (HMRC NIM39110). */
export function isUkNino(text: string): boolean {
  return /^(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]$/.test(text);
}

/** PL: a date with the century in the month, weights 1 3 7 9 (Ministerstwo Cyfryzacji). */
export function isPlPesel(digits: string): boolean {
  if (
    digits.length !== 11 ||
    (10 - (weighted(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 !== Number(digits[10])
  )
    return false;
  const month = Number(digits.slice(2, 4));
  const century = [1900, 2000, 2100, 2200, 1800][Math.floor(month / 20)] ?? 1900;
  return isDate(century + Number(digits.slice(0, 2)), month % 20, Number(digits.slice(4, 6)));
}

/** BR: two check digits by 11 (Receita Federal). */
export function isBrCpf(digits: string): boolean {
  if (digits.length !== 11 || isRepeated(digits)) return false;
  const check = (weights: number[]): number => ((weighted(digits, weights) * 10) % 11) % 10;
  return (
    check([10, 9, 8, 7, 6, 5, 4, 3, 2]) === Number(digits[9]) &&
    check([11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) === Number(digits[10])
  );
}

/** IN: twelve digits, not beginning with 0 or 1, Verhoeff (UIDAI). */
export function isInAadhaar(digits: string): boolean {
  return /^[2-9]\d{11}$/.test(digits) && !isRepeated(digits) && verhoeff(digits);
}

/** CH: 756, EAN-13 (Zentrale Ausgleichsstelle). */
export function isChAhv(digits: string): boolean {
  return /^756\d{10}$/.test(digits) && weighted(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;
}

/** BE: 97 minus the number by 97, with a 2 before it for those born from 2000 (Rijksregister). */
export function isBeRijksregister(digits: string): boolean {
  if (digits.length !== 11 || Number(digits.slice(2, 4)) > 12 || Number(digits.slice(4, 6)) > 31) return false;
  const check = Number(digits.slice(9));
  return [digits.slice(0, 9), `2${digits.slice(0, 9)}`].some((body) => 97 - mod97(body) === check);
}
