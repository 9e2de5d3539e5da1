/** The one plain sentence of now, for a community and for a member. Pure: figures in, words out. */
import type { SlotSummary, StatementFigures } from '../api/slot';
import { energy } from '../format/energy';
import { meanPrice, moneyShort, price } from '../format/money';
import type { Dictionary } from './en';

/** A stretch of a sentence; `strong` marks the figures. */
export interface Segment {
  text: string;
  strong: boolean;
}

/** What a sentence needs to know beside the figures. */
export interface Voice {
  words: Dictionary;
  lang: string;
  currency: string;
  /** Seconds of metered life that one slot stands for. */
  slotSeconds: number;
}

/** Splits `a **b** c` into segments. */
export function segments(marked: string): Segment[] {
  return marked
    .split('**')
    .map((text, index) => ({ text, strong: index % 2 === 1 }))
    .filter((segment) => segment.text !== '');
}

/** A span in words: `a quarter-hour`, `5 minutes`, `30 s`. */
export function span(seconds: number, words: Dictionary): string {
  if (seconds === 900) return words.span.quarter;
  if (seconds === 1800) return words.span.half;
  if (seconds === 3600) return words.span.hour;
  return seconds % 60 === 0 ? words.span.minutes(seconds / 60) : words.span.seconds(seconds);
}

function opening(voice: Voice): string {
  const { words, slotSeconds } = voice;
  const period = slotSeconds === 900 ? words.period.quarter : words.period.slot(span(slotSeconds, words));
  return words.sentence.inThe(period);
}

/** What neighbours did in the last settled slot, and what the grid did. */
export function communitySentence(slot: SlotSummary, voice: Voice): Segment[] {
  const { words, lang, currency } = voice;
  const say = words.sentence;
  const written = (micro: bigint | null): string | null => (micro === null ? null : price(micro, currency, lang));
  const closingPrice = written(slot.closing_price_micro_per_kwh);
  let deed = say.noLocal;
  if (slot.traded_wh > 0) {
    deed = say.neighboursTraded(energy(slot.traded_wh, lang), written(slot.mean_trade_price_micro_per_kwh));
    if (slot.closing_auction_wh > 0) {
      deed += `, ${say.closingToo(energy(slot.closing_auction_wh, lang), closingPrice)}`;
    }
  } else if (slot.closing_auction_wh > 0) {
    deed = say.closingOnly(energy(slot.closing_auction_wh, lang), closingPrice);
  }
  const gridIn = energy(slot.grid_import_wh, lang);
  const gridOut = energy(slot.grid_export_wh, lang);
  const grid =
    slot.grid_import_wh > 0
      ? slot.grid_export_wh > 0
        ? say.gridBoth(gridIn, gridOut)
        : say.gridIn(gridIn)
      : slot.grid_export_wh > 0
        ? say.gridOut(gridOut)
        : say.gridNone;
  return segments(`${opening(voice)} ${deed}. ${grid}`);
}

/** What is said before the first slot is settled. */
export function waitingSentence(opensAt: string, opened: boolean, words: Dictionary): Segment[] {
  return segments(opened ? words.sentence.nothingYet(opensAt) : words.sentence.notOpenYet(opensAt));
}

/** What a member bought and sold in its last settled slot, and what it gained by it. */
export function memberSentence(name: string, last: StatementFigures | null, voice: Voice): Segment[] {
  const { words, lang, currency } = voice;
  const say = words.sentence;
  if (last === null) return segments(say.memberNothing(name));
  const deal = (wh: number, nano: bigint): [string, string | null] => {
    const mean = meanPrice(nano, wh);
    return [energy(wh, lang), mean === null ? null : price(mean, currency, lang)];
  };
  const bought = last.traded_bought_wh + last.closing_bought_wh;
  const sold = last.traded_sold_wh + last.closing_sold_wh;
  const deeds: string[] = [];
  if (bought > 0) deeds.push(say.memberBought(...deal(bought, last.traded_bought_nano + last.closing_bought_nano)));
  if (sold > 0) deeds.push(say.memberSold(...deal(sold, last.traded_sold_nano + last.closing_sold_nano)));
  const deed = deeds.length > 0 ? deeds.join(` ${say.and} `) : say.memberNone;
  // German puts the auxiliary before the name: "hat Ahorn ... gekauft".
  const who = lang === 'de' ? `hat **${name}** ${deed}` : `**${name}** ${deed}`;
  return segments(`${opening(voice)} ${who}. ${gain(last.net_nano - last.base_nano, voice)}`);
}

function gain(nano: bigint, { words, lang, currency }: Voice): string {
  if (nano === 0n) return words.sentence.same;
  const size = moneyShort(nano < 0n ? -nano : nano, currency, lang);
  return nano > 0n ? words.sentence.better(size) : words.sentence.worse(size);
}
