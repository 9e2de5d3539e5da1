import { describe, expect, it } from 'vitest';
import { autopilot, forecast, preview, whatIf } from '../../src/api/autopilot';
import { deviceList, eventPage } from '../../src/api/devices';
import { getJson, sendJson } from '../../src/api/http';
import { challenge, link } from '../../src/api/links';
import { command, depth, ownOrders, ownTrades, tradesBySlot } from '../../src/api/market';
import { text } from '../../src/api/decode';
import { standingOrder } from '../../src/api/standing';
import { access } from '../../src/app/access.svelte';
import { bandOf, fanReach, fanSlots, lineOf, runs } from '../../src/chart/fan';
import { strip } from '../../src/views/devices/strip';
// @ts-expect-error: a script without types
import { Answers } from '../mock/answers.mjs';
// @ts-expect-error: a script without types
import { Routes, TOKEN } from '../mock/routes.mjs';

const answers = new Answers({ slotS: 60 });
const routes = new Routes(answers);
const wire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('answers of the mock', () => {
  it('decode: the market', () => {
    const slot = answers.time(answers.running + 1);
    const book = depth(wire(routes.book.depth(slot)), '$');
    expect(book.bids[0]!.limit_micro_per_kwh).toBeLessThan(book.offers[0]!.limit_micro_per_kwh);
    const order = { member_id: 'm-001', site_id: 'site-001', client_id: 'x', slot_start: slot, side: 'bid', energy_wh: 5, limit_micro_per_kwh: '1', time_in_force: 'good-till-gate' };
    const placed = command(wire(routes.book.place(order, 'x')), '$');
    expect(command(wire(routes.book.place(order, 'x')), '$')).toEqual(placed);
    expect(ownOrders(wire(routes.book.ownOrders('m-001', 'open')), '$').orders).toHaveLength(1);
    expect(ownTrades(wire(routes.book.ownTrades(0, 5)), '$').trades).toHaveLength(5);
    expect(tradesBySlot(wire(routes.book.tradesBySlot(3)), '$').slots).toHaveLength(3);
  });
  it('decode: the autopilot', () => {
    const none = new URLSearchParams();
    expect(forecast(wire(routes.pilot.forecast(0, 's')), '$').slots).toHaveLength(95);
    expect(autopilot(wire(routes.pilot.settings(0, 's')), '$').version).toBe(0);
    expect(standingOrder(wire(routes.pilot.standing(0, 's')), '$').premium_micro_per_kwh).toBe(0n);
    expect(preview(wire(routes.pilot.preview(0, 's', none)), '$').orders.length).toBeGreaterThan(10);
    expect(whatIf(wire(routes.pilot.whatIf(0, 's', none)), '$').difference_nano).toBe(0n);
  });
  it('decode: devices and links', () => {
    expect(deviceList(wire(routes.answers.empty ? {} : routes.find({ method: 'GET', headers: {} }, new URL('http://x/api/v1/communities/lindenhof/devices'), {})), '$').devices).toHaveLength(16);
    expect(eventPage(wire(routes.find({ method: 'GET', headers: {} }, new URL('http://x/api/v1/communities/lindenhof/devices/events?limit=5'), {})), '$').next_before).toBe('56');
    expect(link(wire(routes.links.show(0)), '$').kind).toBe('custodial');
    expect(challenge(wire(routes.links.challenge(0, { address: `0x${'11'.repeat(20)}` }, 'host')), '$').message).toContain('Chain ID: 31337');
  });
});

describe('the client', () => {
  it('sends the token and the key, and the body as JSON', async () => {
    access.use(` ${TOKEN} `);
    const seen: RequestInit[] = [];
    const fetcher: typeof fetch = async (_, init) => {
      seen.push(init ?? {});
      return new Response('"done"');
    };
    expect(await sendJson('POST', '/x', text, { body: { a: 1 }, idempotencyKey: 'k' }, fetcher)).toBe('done');
    expect(seen[0]).toMatchObject({
      method: 'POST',
      body: '{"a":1}',
      headers: { authorization: `Bearer ${TOKEN}`, 'idempotency-key': 'k', 'content-type': 'application/json' },
    });
    access.use('');
  });
  it('asks whether its answer still holds, and keeps it when it does', async () => {
    let asked = 0;
    const fetcher: typeof fetch = async (_, init) => {
      asked += 1;
      const known = new Headers(init?.headers).get('if-none-match');
      return known === '"a"' ? new Response(null, { status: 304 }) : new Response('"first"', { headers: { etag: '"a"' } });
    };
    expect(await getJson('/tagged', text, fetcher)).toBe('first');
    expect(await getJson('/tagged', text, fetcher)).toBe('first');
    expect(asked).toBe(2);
  });
});

describe('the fan', () => {
  const at = (minute: number): string => new Date(Date.UTC(2026, 5, 1, 10, minute)).toISOString();
  const source = (minute: number, low: number, middle: number, high: number) => ({ slot_start: at(minute), p10_wh: low, p50_wh: middle, p90_wh: high });
  const slots = fanSlots([source(0, -120, 40, 210), source(15, 0, 10, 20), source(45, -500, -400, -300)], 900);

  it('leaves a gap where there is no figure, never zero', () => {
    expect(slots.map((slot) => slot.figures === null)).toEqual([false, false, true, false]);
    expect(runs(slots)).toEqual([[0, 1], [3, 3]]);
    expect(fanSlots([], 900)).toEqual([]);
  });
  it('reaches over the highest and the lowest figure', () => {
    expect(fanReach(slots)).toEqual({ up: 300, down: 500 });
  });
  it('is level over each slot', () => {
    const x = (index: number): number => index * 10;
    const y = (wh: number): number => -wh;
    expect(lineOf(slots, [0, 1], x, y)).toBe('M0 -40L10 -40L10 -10L20 -10');
    expect(bandOf(slots, [3, 3], x, y)).toBe('M30 300L40 300L40 500L30 500Z');
  });
});

describe('the strip of days', () => {
  it('tells what is missing from what was not due', () => {
    const cells = strip([{ day: '2026-06-04', stored: 48, due: 96 }, { day: '2026-06-02', stored: 96, due: 96 }], 31);
    expect(cells.map((cell) => cell.share)).toEqual([1, null, 0.5]);
  });
  it('shows the newest days, and nothing of nothing', () => {
    const days = Array.from({ length: 9 }, (_, n) => ({ day: `2026-06-0${n + 1}`, stored: 1, due: 1 }));
    expect(strip(days, 4).map((cell) => new Date(cell.dayMs).getUTCDate())).toEqual([6, 7, 8, 9]);
    expect(strip([], 4)).toEqual([]);
    expect(strip([{ day: '2026-06-01', stored: 0, due: 0 }], 4)[0]!.share).toBeNull();
  });
});
