/** What people type, read exactly: a decimal point or a comma, never a float. */

/** The longest entry that is read. */
const MOST = 20;

/** `12.5` or `12,5` as an integer of `10^-scale`; null for anything else, also for more digits than `scale`. */
export function parseDecimal(text: string, scale: number): bigint | null {
  const typed = text.trim();
  if (typed.length > MOST || !/^\d+(?:[.,]\d+)?$/.test(typed)) return null;
  const [whole = '', fraction = ''] = typed.split(/[.,]/);
  const digits = fraction.replace(/0+$/, '');
  if (digits.length > scale) return null;
  return BigInt(whole + digits.padEnd(scale, '0'));
}

/** A whole number from 1 to `most`; null for anything else. */
export function parseCount(text: string, most: number): number | null {
  const typed = text.trim();
  if (typed.length > MOST || !/^\d+$/.test(typed)) return null;
  const count = Number(typed);
  return Number.isSafeInteger(count) && count >= 1 && count <= most ? count : null;
}
