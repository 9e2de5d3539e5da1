import { describe, expect, it } from 'vitest';
import { reasoned, type Reasoned } from '../../src/api/reason';
import { object } from '../../src/api/decode';
import { de } from '../../src/text/de';
import { en } from '../../src/text/en';
import { tellReason } from '../../src/text/reason';

const values = {
  energy_wh: 336, limit_micro_per_kwh: 225_000n, from_limit_micro_per_kwh: null, likely_wh: 420, low_wh: 300, high_wh: 1_500, battery_wh: -200, preset: 'hands-off', share_percent: 80,
};
const forecast: Reasoned = { side: 'offer', reason: 'said by the server', reason_code: 'forecast', reason_values: values };
const moved: Reasoned = {
  side: 'bid', reason: 'said by the server', reason_code: 'limit_moved',
  reason_values: { ...values, from_limit_micro_per_kwh: 184_000n, likely_wh: null, low_wh: null, high_wh: null, battery_wh: null, preset: null, share_percent: null },
};
const told = (order: Reasoned, lang: 'de' | 'en'): string => tellReason(order, (lang === 'de' ? de : en).reason, lang, 'EUR').text.replaceAll('\u00a0', ' ');

describe('the reason of an order', () => {
  it('is told in the reader’s language, from its values', () => {
    expect(told(forecast, 'de')).toBe(
      'Prognose: 420 Wh übrig (in acht von zehn Fällen 300 Wh bis 1,50 kWh), mit 200 Wh in die Batterie; „von selbst“ bietet 80 % davon an, 336 Wh, ab 22,5 ct/kWh.',
    );
    expect(told(forecast, 'en')).toBe(
      'Forecast: 420 Wh left over (300 Wh to 1.50 kWh in eight of ten cases), with 200 Wh into the battery; hands-off offers 80 % of it, 336 Wh, from 22.5 ct/kWh.',
    );
    expect(told(moved, 'de')).toBe('Der Handelsschluss rückt näher, und zu 18,4 ct/kWh hat Ihnen niemand die ganzen 336 Wh verkauft; jetzt zu höchstens 22,5 ct/kWh.');
  });
  it('has words for each side and preset', () => {
    for (const side of ['bid', 'offer']) {
      for (const preset of ['greenest', 'hands-off', 'cheapest']) {
        for (const battery_wh of [0, 90]) {
          const it = { ...forecast, side, reason_values: { ...values, preset, battery_wh } };
          expect(told(it, 'de')).toMatch(side === 'bid' ? /fehlen.*kaufen/ : /übrig.*bietet/);
          expect(told(it, 'de').includes('aus der Batterie')).toBe(battery_wh > 0);
        }
      }
    }
  });
  it('is left in the server’s words where it has no values, or unknown ones', () => {
    for (const order of [
      { ...forecast, reason_code: null, reason_values: null },
      { ...forecast, reason_code: 'whim' },
      { ...forecast, reason_values: { ...values, preset: 'dearest' } },
      { ...moved, reason_values: { ...values, from_limit_micro_per_kwh: null } },
    ]) {
      expect(tellReason(order, de.reason, 'de', 'EUR')).toEqual({ text: 'said by the server', lang: 'en' });
    }
  });
  it('may be missing: an older server sends words alone', () => {
    expect(object<Reasoned>(reasoned)({ side: 'bid', reason: '' }, 'order')).toEqual({ side: 'bid', reason: '', reason_code: null, reason_values: null });
  });
});
