/** The reason of an autopilot's order, in the reader's language. Pure. */
import type { Reasoned } from '../api/reason';
import { energy } from '../format/energy';
import { price } from '../format/money';
import type { Dictionary } from './en';

/** Words and the language they are in. */
export interface Told {
  text: string;
  lang: string;
}

/** Tells why; what this page does not know the words of is told in the server's own, English. */
export function tellReason(order: Reasoned, words: Dictionary['reason'], lang: string, currency: string): Told {
  const text = told(order, words, lang, currency);
  return text === null ? { text: order.reason, lang: 'en' } : { text, lang };
}

function told(order: Reasoned, words: Dictionary['reason'], lang: string, currency: string): string | null {
  const it = order.reason_values;
  if (it === null || it.limit_micro_per_kwh === null) return null;
  const side = order.side === 'offer' ? words.offer : words.bid;
  const wh = (value: number): string => energy(value, lang);
  const written = (micro: bigint): string => price(micro, currency, lang);
  const limit = written(it.limit_micro_per_kwh);
  if (order.reason_code === 'limit_moved' && it.from_limit_micro_per_kwh !== null) {
    return side.moved(wh(it.energy_wh), written(it.from_limit_micro_per_kwh), limit);
  }
  if (order.reason_code !== 'forecast' || it.likely_wh === null || it.low_wh === null || it.high_wh === null) return null;
  const trades = side.trades[it.preset ?? ''];
  if (trades === undefined) return null;
  const battery = it.battery_wh ?? 0;
  const plan = battery === 0 ? '' : battery > 0 ? words.fromBattery(wh(battery)) : words.intoBattery(wh(-battery));
  const share = `${it.share_percent ?? 100}\u00a0%`;
  const forecast = side.forecast(wh(it.likely_wh), wh(it.low_wh), wh(it.high_wh));
  return `${forecast}${plan}; ${trades(wh(it.energy_wh), share)}, ${side.limit(limit)}.`;
}
