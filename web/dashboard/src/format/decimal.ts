/** Integers of a small unit as decimal text: exact, by integer arithmetic alone. */

/** How a language writes numbers. */
export interface NumberStyle {
  decimal: string;
  group: string;
}

const STYLES: Record<string, NumberStyle> = {
  en: { decimal: '.', group: ',' },
  de: { decimal: ',', group: '.' },
};

/** The number style of a language; English if it is not one of ours. */
export function numberStyle(lang: string): NumberStyle {
  return STYLES[lang] ?? { decimal: '.', group: ',' };
}

/** U+2212, as wide as a digit: columns of signed figures align. */
export const MINUS = '\u2212';

/** `value / 10^from`, rounded half away from zero, as an integer of `10^-to`. */
export function rescale(value: bigint, from: number, to: number): bigint {
  if (to >= from) return value * 10n ** BigInt(to - from);
  const unit = 10n ** BigInt(from - to);
  const half = unit / 2n;
  return value < 0n ? -((-value + half) / unit) : (value + half) / unit;
}

/** `numerator / denominator`, rounded half away from zero; null where the denominator is zero. */
export function divide(numerator: bigint, denominator: bigint): bigint | null {
  if (denominator === 0n) return null;
  const negative = numerator < 0n !== denominator < 0n;
  const n = numerator < 0n ? -numerator : numerator;
  const d = denominator < 0n ? -denominator : denominator;
  const quotient = (n + d / 2n) / d;
  return negative ? -quotient : quotient;
}

/** The parts of a decimal number, so that a caller may set the fraction apart. */
export interface DecimalParts {
  /** Empty, or {@link MINUS}. */
  sign: string;
  whole: string;
  /** The digits after the decimal point; may be empty. */
  fraction: string;
  decimal: string;
}

/** Splits `value * 10^-scale` into sign, grouped whole digits and exactly `digits` fraction digits. */
export function decimalParts(value: bigint, scale: number, digits: number, lang: string): DecimalParts {
  const style = numberStyle(lang);
  const scaled = rescale(value, scale, digits);
  const plain = (scaled < 0n ? -scaled : scaled).toString().padStart(digits + 1, '0');
  const cut = plain.length - digits;
  return {
    sign: scaled < 0n ? MINUS : '',
    whole: plain.slice(0, cut).replace(/\B(?=(\d{3})+$)/g, style.group),
    fraction: plain.slice(cut),
    decimal: style.decimal,
  };
}

/** `value * 10^-scale` with exactly `digits` digits after the point. */
export function decimalText(value: bigint, scale: number, digits: number, lang: string): string {
  const { sign, whole, fraction, decimal } = decimalParts(value, scale, digits, lang);
  return sign + whole + (fraction === '' ? '' : decimal + fraction);
}

/** The fewest digits (at least `least`) that write `value * 10^-scale` without loss. */
export function exactDigits(value: bigint, scale: number, least: number): number {
  let digits = scale;
  let rest = value;
  while (digits > least && rest % 10n === 0n) {
    rest /= 10n;
    digits -= 1;
  }
  return digits;
}
