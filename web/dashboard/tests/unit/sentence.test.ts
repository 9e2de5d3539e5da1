import { describe, expect, it } from 'vitest';
import type { SlotSummary, StatementFigures } from '../../src/api/slot';
import { de } from '../../src/text/de';
import { en, type Dictionary } from '../../src/text/en';
import { communitySentence, memberSentence, segments, waitingSentence, type Segment, type Voice } from '../../src/text/sentence';

const voice = (words: Dictionary, lang: string, slotSeconds = 900): Voice => ({ words, lang, currency: 'EUR', slotSeconds });
const said = (parts: Segment[]): string => parts.map((part) => part.text).join('').replaceAll('\u00a0', ' ');

const slot: SlotSummary = {
  slot_start: '2026-06-01T10:00:00Z', slot_end: '2026-06-01T10:15:00Z', status: 'settled', revision: 0,
  traded_wh: 12_400, trades: 9, closing_auction_wh: 4_300, closing_price_micro_per_kwh: 178_000n, mean_trade_price_micro_per_kwh: 191_000n,
  grid_import_wh: 3_100, grid_export_wh: 400, production_wh: 20_000, consumption_wh: 22_000, open_bids_wh: 0, open_offers_wh: 0, gate_closes_at: null, batch: null,
};
const nothing = { ...slot, traded_wh: 0, closing_auction_wh: 0, grid_import_wh: 0, grid_export_wh: 0 };
const statement: StatementFigures = {
  import_wh: 500, export_wh: 0, production_wh: null, substituted: false, traded_bought_wh: 300, traded_bought_nano: -57_000_000n, traded_sold_wh: 0, traded_sold_nano: 0n,
  closing_bought_wh: 100, closing_bought_nano: -15_800_000n, closing_sold_wh: 0, closing_sold_nano: 0n, preferred_bought_wh: 0, preferred_bought_nano: 0n, preferred_sold_wh: 0, preferred_sold_nano: 0n, curtailed_wh: 0, over_limit_wh: 0, residual_import_wh: 100, residual_export_wh: 0,
  residual_nano: -32_000_000n, network_fee_nano: 0n, platform_fee_nano: 0n, net_nano: -104_800_000n, base_nano: -160_000_000n,
};

describe('the community’s sentence', () => {
  it('tells what was traded, what the closing auction added, and what the grid did', () => {
    expect(said(communitySentence(slot, voice(en, 'en')))).toBe(
      'In the last settled quarter-hour neighbours traded 12.4 kWh at 19.1 ct/kWh, and the closing auction shared out 4.30 kWh more at 17.8 ct/kWh. 3.10 kWh came from the grid and 400 Wh went to it.',
    );
  });
  it('speaks German', () => {
    expect(said(communitySentence(slot, voice(de, 'de')))).toBe(
      'In der letzten abgerechneten Viertelstunde handelten Nachbarn 12,4 kWh zu 19,1 ct/kWh, und die Schlussauktion verteilte weitere 4,30 kWh zu 17,8 ct/kWh. 3,10 kWh kamen aus dem Netz, 400 Wh gingen hinein.',
    );
  });
  it('says so when nothing moved', () => {
    expect(said(communitySentence(nothing, voice(en, 'en')))).toBe(
      'In the last settled quarter-hour no energy changed hands between neighbours. Nothing came from the grid and nothing went to it.',
    );
  });
  it('leaves a price out that is not known, and names other slot lengths', () => {
    const unpriced = { ...nothing, closing_auction_wh: 900, closing_price_micro_per_kwh: null, grid_export_wh: 50 };
    expect(said(communitySentence(unpriced, voice(en, 'en', 300)))).toBe(
      'In the last settled slot of 5 minutes neighbours shared 900 Wh in the closing auction. 50 Wh went to the grid.',
    );
    expect(said(communitySentence(unpriced, voice(de, 'de', 300)))).toContain('Im letzten abgerechneten Zeitfenster von 5 Minuten');
  });
  it('sets the figures off', () => {
    expect(segments('a **b** c')).toEqual([
      { text: 'a ', strong: false },
      { text: 'b', strong: true },
      { text: ' c', strong: false },
    ]);
    expect(communitySentence(slot, voice(en, 'en')).filter((part) => part.strong)).toHaveLength(6);
  });
  it('waits in words', () => {
    expect(said(waitingSentence('10:00', false, en))).toBe('The market opens at 10:00.');
    expect(said(waitingSentence('10:00', true, en))).toContain('opened at 10:00');
  });
});

describe('a member’s sentence', () => {
  it('adds trades and closing auction, with the mean price and the gain', () => {
    expect(said(memberSentence('Ada', statement, voice(en, 'en')))).toBe(
      'In the last settled quarter-hour Ada bought 400 Wh from neighbours at 18.2 ct/kWh. That is 0.0552 € better than at the tariffs alone.',
    );
  });
  it('tells a loss and a draw', () => {
    const loss = { ...statement, net_nano: -170_000_000n };
    const draw = { ...statement, net_nano: statement.base_nano, traded_bought_wh: 0, closing_bought_wh: 0 };
    expect(said(memberSentence('Ada', loss, voice(en, 'en')))).toContain('0.0100 € worse');
    expect(said(memberSentence('Ada', draw, voice(de, 'de')))).toBe(
      'In der letzten abgerechneten Viertelstunde hat Ada nichts mit Nachbarn gehandelt. Das kostet so viel wie zu den Tarifen allein.',
    );
  });
  it('has nothing to tell before the first slot', () => {
    expect(said(memberSentence('Ada', null, voice(en, 'en')))).toBe('Ada has no settled slot yet.');
  });
});
