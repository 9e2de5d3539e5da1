/** Prices in forms: as they are typed in the smaller unit of a currency, and back. */
import { decimalText, exactDigits } from './decimal';
import { currencyStyle } from './money';
import { parseDecimal } from './parse';

const MICRO_DIGITS = 6;

/** Digits after the point of a micro-currency, in the unit that prices are typed in. */
const scaleOf = (currency: string): number => (currencyStyle(currency).cent === null ? MICRO_DIGITS : MICRO_DIGITS - 2);

/** The unit of a typed price: `ct/kWh`. */
export function priceUnit(currency: string): string {
  const { sign, cent } = currencyStyle(currency);
  return `${cent ?? sign}/kWh`;
}

/** A typed price in micro-currency per kWh; null if it is none. */
export function parsePrice(text: string, currency: string): bigint | null {
  return parseDecimal(text, scaleOf(currency));
}

/** A price as one would type it, to its last digit: `18.25`. */
export function typedPrice(microPerKwh: bigint, currency: string, lang: string): string {
  const scale = scaleOf(currency);
  return decimalText(microPerKwh, scale, exactDigits(microPerKwh, scale, 1), lang).replaceAll(lang === 'de' ? '.' : ',', '');
}
