/** Energy in Wh and power in W, as people write them. */
import { decimalText, exactDigits } from './decimal';

const NBSP = '\u00a0';
/** From here on energy is written in kWh (W: in kW). */
const KILO_FROM = 1000;
const MEGA_FROM = 10_000_000;

function scaled(value: number, unit: string, lang: string): string {
  const size = Math.abs(value);
  const exact = BigInt(value);
  if (size < KILO_FROM) return decimalText(exact, 0, 0, lang) + NBSP + unit;
  if (size >= MEGA_FROM) return decimalText(exact, 6, 2, lang) + NBSP + 'M' + unit;
  return decimalText(exact, 3, size < 10_000 ? 2 : 1, lang) + NBSP + 'k' + unit;
}

/** `820 Wh`, `12.4 kWh`, `31.05 MWh`: about three figures. */
export function energy(wh: number, lang: string): string {
  return scaled(wh, 'Wh', lang);
}

/** Energy to the Wh, as metered: `1,204,331 Wh`. */
export function energyExact(wh: number, lang: string): string {
  return decimalText(BigInt(wh), 0, 0, lang) + NBSP + 'Wh';
}

/** Energy in kWh to the Wh, for columns whose heading names the unit: `12.431`. */
export function energyKwh(wh: number, lang: string): string {
  return decimalText(BigInt(wh), 3, 3, lang);
}

/** An axis' mark, as short as it can be: `500 Wh`, `1.5 kWh`. */
export function energyMark(wh: number, lang: string): string {
  if (wh < KILO_FROM) return decimalText(BigInt(wh), 0, 0, lang) + NBSP + 'Wh';
  return decimalText(BigInt(wh), 3, exactDigits(BigInt(wh), 3, 0), lang) + NBSP + 'kWh';
}

/** `820 W`, `4.20 kW`. */
export function power(w: number, lang: string): string {
  return scaled(w, 'W', lang);
}

/** A ratio in thousandths as per cent: `62.5 %`. */
export function permille(value: number, lang: string): string {
  return decimalText(BigInt(value), 1, value === 1000 || value === 0 ? 0 : 1, lang) + NBSP + '%';
}

/** `part` of `whole` in thousandths, between 0 and 1000; null where the whole is zero. */
export function shareOf(part: number, whole: number): number | null {
  if (whole <= 0) return null;
  return Math.min(1000, Math.max(0, Math.round((part * 1000) / whole)));
}
