import { describe, expect, it } from 'vitest';
import { decimalText, divide, exactDigits, rescale } from '../../src/format/decimal';
import { energy, energyExact, energyKwh, energyMark, permille, power, shareOf } from '../../src/format/energy';
import { meanPrice, moneyExact, moneyRounded, moneyShort, price, sumNano } from '../../src/format/money';
import { apiTime, clockTime, countdown, slotName, slotStartAt, slotTimes, startName } from '../../src/format/time';
import { age } from '../../src/text/age';
import { en } from '../../src/text/en';

/** No-break spaces as plain ones, so that expectations stay readable. */
const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

describe('decimals', () => {
  it('are exact beyond what a float holds', () => {
    expect(decimalText(9_007_199_254_740_993_000_000_001n, 9, 9, 'en')).toBe('9,007,199,254,740,993.000000001');
  });
  it('round half away from zero, on both sides', () => {
    expect(rescale(1_500n, 3, 0)).toBe(2n);
    expect(rescale(-1_500n, 3, 0)).toBe(-2n);
    expect(rescale(1_499n, 3, 0)).toBe(1n);
  });
  it('never write a negative zero', () => {
    expect(decimalText(-4n, 3, 2, 'en')).toBe('0.00');
  });
  it('keep the fewest digits that lose nothing', () => {
    expect(exactDigits(182_000_000n, 9, 2)).toBe(3);
    expect(exactDigits(1n, 9, 2)).toBe(9);
    expect(exactDigits(0n, 9, 2)).toBe(2);
  });
  it('divide with rounding, and refuse a zero denominator', () => {
    expect(divide(7n, 2n)).toBe(4n);
    expect(divide(-7n, 2n)).toBe(-4n);
    expect(divide(7n, 0n)).toBeNull();
  });
});

describe('money', () => {
  it('is written to its last digit', () => {
    expect(plain(moneyExact(182_000_000n, 'EUR', 'en'))).toBe('0.182 €');
    expect(plain(moneyExact(-1_234_567_890_123n, 'EUR', 'de'))).toBe('−1.234,567890123 €');
    expect(plain(moneyExact(0n, 'EUR', 'en'))).toBe('0.00 €');
  });
  it('sums without loss', () => {
    const parts = Array.from({ length: 10 }, () => 100_000_001n);
    expect(sumNano(parts)).toBe(1_000_000_010n);
    expect(sumNano([9_007_199_254_740_993n, 1n, -9_007_199_254_740_993n])).toBe(1n);
  });
  it('shows small headline amounts with more digits', () => {
    expect(plain(moneyShort(12_300_000n, 'EUR', 'en'))).toBe('0.0123 €');
    expect(plain(moneyShort(21_023_000_000n, 'EUR', 'en'))).toBe('21.02 €');
    expect(plain(moneyRounded(-5_000_000n, 2, 'EUR', 'en'))).toBe('−0.01 €');
  });
  it('writes prices in cents, and in the currency where cents have no name', () => {
    expect(plain(price(191_000n, 'EUR', 'en'))).toBe('19.1 ct/kWh');
    expect(plain(price(191_000n, 'EUR', 'en', true))).toBe('19.10 ct/kWh');
    expect(plain(price(191_250n, 'EUR', 'de'))).toBe('19,13 ct/kWh');
    expect(plain(price(191_250n, 'XTS', 'en'))).toBe('0.1913 XTS/kWh');
  });
  it('knows the mean price of a charge as of an income, and none of no energy', () => {
    expect(meanPrice(-191_000n * 400n, 400)).toBe(191_000n);
    expect(meanPrice(191_000n * 400n, 400)).toBe(191_000n);
    expect(meanPrice(0n, 0)).toBeNull();
  });
});

describe('energy', () => {
  it('chooses the unit by size', () => {
    expect(plain(energy(820, 'en'))).toBe('820 Wh');
    expect(plain(energy(4_315, 'en'))).toBe('4.32 kWh');
    expect(plain(energy(12_431, 'de'))).toBe('12,4 kWh');
    expect(plain(energy(31_050_000, 'en'))).toBe('31.05 MWh');
    expect(plain(power(4_200, 'en'))).toBe('4.20 kW');
    expect(energyKwh(401, 'en')).toBe('0.401');
    expect(plain(energyMark(1_500, 'en'))).toBe('1.5 kWh');
    expect(plain(energyExact(1_204_331, 'de'))).toBe('1.204.331 Wh');
  });
  it('has no share of nothing, and none outside its bounds', () => {
    expect(shareOf(1, 0)).toBeNull();
    expect(shareOf(3, 2)).toBe(1000);
    expect(shareOf(1, 3)).toBe(333);
    expect(plain(permille(625, 'de'))).toBe('62,5 %');
    expect(plain(permille(1000, 'en'))).toBe('100 %');
  });
});

describe('times', () => {
  it('show seconds only for short slots', () => {
    expect(slotTimes('2026-06-01T10:00:00Z', '2026-06-01T10:15:00Z', 'en')).toMatch(/^\d\d:\d\d–\d\d:\d\d$/);
    expect(slotTimes('2026-06-01T10:00:00Z', '2026-06-01T10:00:10Z', 'en')).toMatch(/:00–.*:10$/);
  });
  it('name the day of a slot that is not of today', () => {
    const [start, end] = ['2026-06-01T10:00:00Z', '2026-06-01T10:15:00Z'];
    expect(slotName(start, end, Date.parse(start), 'en')).toBe(slotTimes(start, end, 'en'));
    expect(slotName(start, end, Date.parse('2026-06-03T10:00:00Z'), 'en')).toBe(`Mon 1 Jun, ${slotTimes(start, end, 'en')}`);
  });
  it('name the day of a start that is not of today', () => {
    const start = '2026-06-01T10:00:00Z';
    expect(startName(start, Date.parse(start), 'en', false)).toBe(clockTime(start, 'en', false));
    expect(startName(start, Date.parse('2026-06-03T10:00:00Z'), 'en', false)).toBe(`Mon 1 Jun, ${clockTime(start, 'en', false)}`);
  });
  it('count down, and stop at zero', () => {
    expect(countdown(6_200)).toBe('0:07');
    expect(countdown(3_725_000)).toBe('1:02:05');
    expect(countdown(-1)).toBe('0:00');
  });
  it('find the slot of a moment', () => {
    const noon = Date.parse('2026-06-01T12:07:31.250Z');
    expect(apiTime(slotStartAt(noon, 900))).toBe('2026-06-01T12:00:00Z');
    expect(apiTime(slotStartAt(noon, 10))).toBe('2026-06-01T12:07:30Z');
  });
  it('tell ages in the unit that fits', () => {
    expect([0.4, 2.9, 300, 7_200, 400_000].map((s) => age(s, en))).toEqual(['just now', '2 s ago', '5 min ago', '2 h ago', '5 days ago']);
  });
});
