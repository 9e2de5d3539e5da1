import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/api/devices';
import type { Depth } from '../../src/api/market';
import type { Statement } from '../../src/api/member';
import type { SlotSummary } from '../../src/api/slot';
import { mergeSlots, overlaps } from '../../src/app/pages';
import { memberHref, parseRoute, receiptHref, slotHref } from '../../src/app/route';
import { chartSlots, niceStep, pieces, reach } from '../../src/chart/columns';
import { bandPath, flowLayout } from '../../src/flow/layout';
import { flowParts, isEmpty } from '../../src/flow/parts';
import { de } from '../../src/text/de';
import { en } from '../../src/text/en';
import { backlogs } from '../../src/views/devices/backlog';
import { highestLimit } from '../../src/views/market/limits';
import { moneyOf, type MoneyKey } from '../../src/views/statementColumns';

const at = (minute: number): string => new Date(Date.UTC(2026, 5, 1, 10, minute)).toISOString();
const statement = (minute: number, figures: Partial<Statement> = {}): Statement => ({
  slot_start: at(minute), revision: 0, batch: null, import_wh: 0, export_wh: 0, production_wh: null, substituted: false,
  traded_bought_wh: 0, traded_bought_nano: 0n, traded_sold_wh: 0, traded_sold_nano: 0n, closing_bought_wh: 0, closing_bought_nano: 0n, closing_sold_wh: 0, closing_sold_nano: 0n,
  preferred_bought_wh: 0, preferred_bought_nano: 0n, preferred_sold_wh: 0, preferred_sold_nano: 0n, curtailed_wh: 0, over_limit_wh: 0, residual_import_wh: 0, residual_export_wh: 0, residual_nano: 0n, network_fee_nano: 0n, platform_fee_nano: 0n, net_nano: 0n, base_nano: 0n, ...figures,
});
const slot = (figures: Partial<SlotSummary>): SlotSummary =>
  ({ production_wh: 0, traded_wh: 0, closing_auction_wh: 0, grid_import_wh: 0, grid_export_wh: 0, ...figures }) as SlotSummary;

describe('what waits at an agent', () => {
  const device = (figures: Partial<Device>): Device =>
    ({ agent_id: 'agent-1', outbox_records: 11, outbox_oldest_at: at(15), last_health_at: at(15).replace(':00.', ':01.'), last_slot_end: at(15), ...figures }) as Device;
  it('is nothing where only the readings of the slot that just ended were in the outbox', () => {
    expect(backlogs([device({}), device({ last_slot_end: at(0) }), device({ outbox_records: 0 }), device({ agent_id: null })], 900)).toEqual([]);
  });
  it('is told once an agent, and until its devices have the reading of the time it was told', () => {
    const waits = device({ outbox_oldest_at: at(0), last_slot_end: null });
    expect(backlogs([waits, { ...waits, last_slot_end: at(0) }], 900)).toEqual([{ agent: 'agent-1', records: 11, oldestAt: at(0) }]);
    expect(backlogs([{ ...waits, last_slot_end: at(15) }], 900)).toEqual([]);
  });
});

describe('the bound of a limit', () => {
  it('is that of the zone for a bid, and of the best zone for an offer', () => {
    const depth = { highest_limit_micro_per_kwh: 313n, bid_limits: [{ zone_id: 'far', highest_limit_micro_per_kwh: 218n }] } as Depth;
    expect([highestLimit(depth, 'bid', 'far'), highestLimit(depth, 'offer', 'far'), highestLimit(depth, 'bid', 'late')]).toEqual([218n, 313n, 313n]);
  });
});

describe('routes', () => {
  it('lead there and back', () => {
    expect(parseRoute('')).toEqual({ view: 'community' });
    expect(parseRoute(memberHref('a/b c'))).toEqual({ view: 'member', memberId: 'a/b c', part: 'overview' });
    expect(parseRoute(memberHref('m-1', 'autopilot'))).toEqual({ view: 'member', memberId: 'm-1', part: 'autopilot' });
    expect(parseRoute(receiptHref('m-1', '2026-06-01T10:00:00Z'))).toEqual({ view: 'receipt', memberId: 'm-1', slotStart: '2026-06-01T10:00:00Z' });
    expect([parseRoute('#/market'), parseRoute('#/devices'), parseRoute('#/check')]).toEqual([{ view: 'market' }, { view: 'devices' }, { view: 'check' }]);
    expect(parseRoute(slotHref('2026-06-01T10:00:00+00:00'))).toEqual({ view: 'slot', slotStart: '2026-06-01T10:00:00+00:00' });
  });
  it.each(['#/slots/soon', '#/members/', '#/elsewhere', '#/members/%E0%A4%A', '#/members/a/b', '#/members/a/receipts/soon', '#/members/a/overview', '#/market/x'])('know no %s', (hash) => {
    expect(parseRoute(hash)).toEqual({ view: 'unknown' });
  });
});

describe('growing lists', () => {
  it('merge by slot, newest first, the newer word counts', () => {
    const merged = mergeSlots([statement(0, { revision: 0 }), statement(15)], [statement(0, { revision: 1 }), statement(30)]);
    expect(merged.map((row) => row.slot_start)).toEqual([at(30), at(15), at(0)]);
    expect(merged[2]?.revision).toBe(1);
  });
  it('notice a hole', () => {
    expect(overlaps([statement(0)], [statement(0), statement(15)])).toBe(true);
    expect(overlaps([statement(0)], [statement(15)])).toBe(false);
  });
});

describe('the chart', () => {
  it('leaves a gap where there is no statement, never zero', () => {
    const slots = chartSlots([statement(0), statement(30), statement(45)], 900, 96);
    expect(slots.map((one) => one.statement === null)).toEqual([false, true, false, false]);
  });
  it('shows the newest slots when there is no room for all', () => {
    const slots = chartSlots([statement(0), statement(15), statement(30)], 900, 2);
    expect(slots.map((one) => one.startMs)).toEqual([Date.parse(at(15)), Date.parse(at(30))]);
    expect(chartSlots([], 900, 2)).toEqual([]);
  });
  it('stacks bought energy above the axis and sold energy below', () => {
    const row = statement(0, { traded_bought_wh: 300, closing_bought_wh: 100, residual_import_wh: 50, closing_sold_wh: 20, residual_export_wh: 5 });
    expect(pieces(row)).toEqual([
      { kind: 'local', fromWh: 0, toWh: 400 },
      { kind: 'grid', fromWh: 400, toWh: 450 },
      { kind: 'local', fromWh: 0, toWh: -20 },
      { kind: 'grid', fromWh: -20, toWh: -25 },
    ]);
    expect(reach([{ startMs: 0, statement: row }])).toEqual({ up: 500, down: 30 });
  });
  it('ends its axis at round figures', () => {
    expect([0, 1, 11, 26, 480, 9_100].map(niceStep)).toEqual([0, 1, 15, 30, 500, 10_000]);
  });
});

describe('the flow picture', () => {
  it('gives own use what neighbours and grid leave, never less than nothing', () => {
    expect(flowParts(slot({ production_wh: 1_000, traded_wh: 300, closing_auction_wh: 100, grid_export_wh: 200 })).own_wh).toBe(400);
    expect(flowParts(slot({ production_wh: 100, traded_wh: 300 })).own_wh).toBe(0);
    expect(flowParts(slot({ production_wh: null })).own_wh).toBeNull();
  });
  it('keeps bands within their nodes on both sides', () => {
    const layout = flowLayout({ own_wh: 400, local_wh: 300, from_grid_wh: 200, to_grid_wh: 100 }, 640);
    expect(layout.bands.map((band) => band.way).sort()).toEqual(['from_grid', 'local', 'own', 'to_grid']);
    for (const node of layout.nodes) {
      const inside = layout.bands.filter((band) => {
        const top = node.side === 'left' ? band.leftY : band.rightY;
        return top >= node.y - 0.01 && top + band.thickness <= node.y + node.height + 0.01;
      });
      expect(inside.reduce((sum, band) => sum + band.wh, 0)).toBe(node.wh);
    }
    expect(layout.bus).not.toBeNull();
  });
  it('draws small flows visibly and no flow for nothing', () => {
    const layout = flowLayout({ own_wh: null, local_wh: 0, from_grid_wh: 100_000, to_grid_wh: 1 }, 320);
    expect(layout.bus).toBeNull();
    expect(layout.bands.find((band) => band.way === 'to_grid')?.thickness).toBeGreaterThanOrEqual(3);
    expect(bandPath(layout.bands[0]!, 0, 100)).toMatch(/^M0 .*Z$/);
    expect(isEmpty({ own_wh: null, local_wh: 0, from_grid_wh: 0, to_grid_wh: 0 })).toBe(true);
  });
});

describe('statements', () => {
  it('have a result that is the sum of its columns', () => {
    const row = statement(0, {
      traded_bought_nano: -7n, closing_bought_nano: -5n, traded_sold_nano: 11n, closing_sold_nano: 3n, residual_nano: -20n, network_fee_nano: -2n, platform_fee_nano: -1n, net_nano: -21n, base_nano: -30n,
    });
    const parts: MoneyKey[] = ['bought', 'sold', 'grid', 'fees'];
    expect(parts.reduce((sum, key) => sum + moneyOf(row, key), 0n)).toBe(moneyOf(row, 'net'));
    expect(moneyOf(row, 'saved')).toBe(9n);
  });
});

describe('the dictionaries', () => {
  it('name the same states and presets', () => {
    for (const key of ['status', 'stateHint', 'preset', 'side', 'account'] as const) {
      expect(Object.keys(de[key]).sort()).toEqual(Object.keys(en[key]).sort());
    }
  });
});
