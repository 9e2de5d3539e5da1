/** Money in nano-currency and prices in micro-currency per kWh, as people write them. */
import { decimalText, divide, exactDigits } from './decimal';

/** Digits after the point of one nano-currency. */
export const NANO_DIGITS = 9;
/** Digits after the point of one micro-currency. */
const MICRO_DIGITS = 6;
/** A no-break space, between a figure and its unit. */
const NBSP = '\u00a0';

/** How a currency is written. A code without a known sign stands for itself. */
export interface CurrencyStyle {
  sign: string;
  /** The name of a hundredth, for prices; null: prices are written in the currency itself. */
  cent: string | null;
}

const CURRENCIES: Record<string, CurrencyStyle> = {
  EUR: { sign: '€', cent: 'ct' },
  CHF: { sign: 'CHF', cent: 'Rp.' },
  GBP: { sign: '£', cent: 'p' },
  USD: { sign: '$', cent: '¢' },
};

export function currencyStyle(code: string): CurrencyStyle {
  return CURRENCIES[code] ?? { sign: code, cent: null };
}

/** The sum of amounts, exact. */
export function sumNano(amounts: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const amount of amounts) sum += amount;
  return sum;
}

/** An amount to the last digit it has (two at least): `0.182 €`. */
export function moneyExact(nano: bigint, currency: string, lang: string): string {
  const digits = exactDigits(nano, NANO_DIGITS, 2);
  return decimalText(nano, NANO_DIGITS, digits, lang) + NBSP + currencyStyle(currency).sign;
}

/** An amount with a fixed number of digits, rounded half away from zero: for headlines, never for sums. */
export function moneyRounded(nano: bigint, digits: number, currency: string, lang: string): string {
  return decimalText(nano, NANO_DIGITS, digits, lang) + NBSP + currencyStyle(currency).sign;
}

/** A headline amount: cents where they tell something, more digits where the amount is below a cent or so. */
export function moneyShort(nano: bigint, currency: string, lang: string): string {
  const size = nano < 0n ? -nano : nano;
  return moneyRounded(nano, size === 0n || size >= 1_000_000_000n ? 2 : 4, currency, lang);
}

/** A price, with one digit or two: `19.1 ct/kWh`. `aligned` (for columns) always writes two: `19.10 ct/kWh`. */
export function price(microPerKwh: bigint, currency: string, lang: string, aligned = false): string {
  const { sign, cent } = currencyStyle(currency);
  const scale = cent === null ? MICRO_DIGITS : MICRO_DIGITS - 2;
  const most = cent === null ? 4 : 2;
  const digits = aligned || cent === null ? most : Math.min(most, exactDigits(microPerKwh, scale, 1));
  return decimalText(microPerKwh, scale, digits, lang) + NBSP + (cent ?? sign) + '/kWh';
}

/** The mean price of an energy that cost (or earned) an amount; null for no energy. One nano a Wh is one micro a kWh. */
export function meanPrice(nano: bigint, energyWh: number): bigint | null {
  return divide(nano < 0n ? -nano : nano, BigInt(energyWh));
}
