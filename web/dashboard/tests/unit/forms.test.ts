import { describe, expect, it } from 'vitest';
import type { Bounds } from '../../src/api/autopilot';
import { ApiError, problemOf } from '../../src/api/problem';
import { isToken } from '../../src/app/access.svelte';
import { Attempt, newId } from '../../src/app/ids';
import { isAddress, isSignature, signatureOf } from '../../src/app/wallet';
import { parseCount, parseDecimal } from '../../src/format/parse';
import { parsePrice, priceUnit, typedPrice } from '../../src/format/price';
import { de } from '../../src/text/de';
import { en } from '../../src/text/en';
import { failureWords } from '../../src/text/failure';
import { Draft, LimitDraft } from '../../src/views/autopilot/draft.svelte';

const bounds: Bounds = {
  lowest_limit_micro_per_kwh: 82_000n, highest_limit_micro_per_kwh: 275_500n, highest_offer_limit_micro_per_kwh: 275_500n, feed_in_micro_per_kwh: 82_000n, retail_micro_per_kwh: 321_000n,
};
const stored = {
  site_id: 's', version: 3, preset: 'hands-off', paused: false, bid_limit_micro_per_kwh: null, offer_limit_micro_per_kwh: 100_000n,
  battery_reserve_percent: 20, follows_battery_plan: false, changed_by: null, changed_at: null, bounds, battery: null, history: [],
};

describe('entries', () => {
  it('are read exactly, with a point or a comma', () => {
    expect([parseDecimal('18.25', 4), parseDecimal('18,25', 4), parseDecimal('18', 4), parseDecimal('0.10000', 1)]).toEqual([182_500n, 182_500n, 180_000n, 1n]);
  });
  it.each(['', ' ', '-1', '1e3', '1.', '.5', '1.2.3', '1,2,3', '١', '1'.repeat(21), '0.12345'])('refuse %j as a decimal', (typed) => {
    expect(parseDecimal(typed, 4)).toBeNull();
  });
  it('are whole numbers within bounds where energy is asked', () => {
    expect([parseCount('1', 9), parseCount(' 9 ', 9), parseCount('0', 9), parseCount('10', 9), parseCount('1.5', 9), parseCount('x', 9)]).toEqual([1, 9, null, null, null, null]);
  });
  it('of prices go there and back in the smaller unit', () => {
    expect(priceUnit('EUR')).toBe('ct/kWh');
    expect(parsePrice('18,25', 'EUR')).toBe(182_500n);
    expect(parsePrice('0.1825', 'XTS')).toBe(182_500n);
    for (const lang of ['en', 'de']) expect(parsePrice(typedPrice(1_234_567_8n, 'EUR', lang), 'EUR')).toBe(12_345_678n);
  });
});

describe('ids', () => {
  it('stay for the same content until it is answered', () => {
    const attempt = new Attempt();
    const first = attempt.idFor({ wh: 1 });
    expect(attempt.idFor({ wh: 1 })).toBe(first);
    expect(attempt.idFor({ wh: 2 })).not.toBe(first);
    const second = attempt.idFor({ wh: 3 });
    attempt.answered();
    const third = attempt.idFor({ wh: 3 });
    expect(third).not.toBe(second);
    attempt.failed(new ApiError('unreachable', 'torn'));
    expect(attempt.idFor({ wh: 3 })).toBe(third);
    attempt.failed(new ApiError('refused', 'no'));
    expect(attempt.idFor({ wh: 3 })).not.toBe(third);
  });
  it('are what the API takes, and differ', () => {
    expect(newId()).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
    expect(new Set(Array.from({ length: 50 }, newId)).size).toBe(50);
  });
});

describe('the autopilot’s draft', () => {
  const draft = (): Draft => {
    const made = new Draft('EUR', () => 'en');
    made.take(stored);
    return made;
  };
  it('starts as what is stored', () => {
    expect(draft().changed(stored)).toBe(false);
    expect(draft().settings(stored)).toMatchObject({ bid_limit_micro_per_kwh: null, offer_limit_micro_per_kwh: 100_000n });
  });
  it('is nothing while a limit lies outside the tariffs', () => {
    const it = draft();
    it.offer.typed = '40';
    expect(it.settings(stored)).toBeNull();
    expect(it.changed(stored)).toBe(true);
    it.offer.own = false;
    expect(it.settings(stored)?.offer_limit_micro_per_kwh).toBeNull();
  });
  it('follows the server, but not over what is being changed', () => {
    const newer = { ...stored, version: 4, preset: 'greenest' };
    const untouched = draft();
    untouched.follow(newer);
    expect(untouched.preset).toBe('greenest');
    const changing = draft();
    changing.reserve = 70;
    changing.follow(newer);
    expect([changing.preset, changing.reserve]).toEqual(['hands-off', 70]);
  });
  it('takes both bounds themselves, and the slider’s figure', () => {
    const limit = new LimitDraft('EUR', () => 'en');
    for (const bound of [82_000n, 275_500n]) {
      limit.slide(bound.toString());
      expect(limit.within(bounds)).toBe(bound);
    }
    limit.slide('81999');
    expect(limit.within(bounds)).toBeNull();
  });
});

describe('problems', () => {
  const answer = (status: number, body: unknown, headers = {}): Response => new Response(JSON.stringify(body), { status, headers });
  it('have their name, their words and the time to wait', async () => {
    const error = await problemOf(answer(429, { type: '/problems/too-many-requests', title: 'Too many', detail: 'one a second' }, { 'retry-after': '7' }));
    expect(error).toMatchObject({ kind: 'refused', code: 'too-many-requests', detail: 'one a second', retryAfterS: 7 });
    expect(failureWords(error, en)).toEqual({ title: 'That was too often. Wait a moment. Try again in 7 s.', detail: 'one a second' });
    expect(failureWords(error, de).title).toContain('zu oft');
  });
  it('of the market are told as its refusals are', async () => {
    const error = await problemOf(answer(422, { type: '/problems/gate-closed', title: 'Gate closure has passed', detail: 'choose a later slot' }));
    expect(failureWords(error, en).title).toBe(`${en.market.refusedTitle}. ${en.market.refusal['gate_closed']}`);
  });
  it('that nobody knows are told in the server’s words', async () => {
    const error = await problemOf(answer(400, { type: '/problems/never-seen', title: 'Strange', detail: 'very' }));
    expect(failureWords(error, en)).toEqual({ title: en.failure.other, detail: 'Strange: very' });
  });
  it('of a server that is away say that trying again is harmless', () => {
    expect(failureWords(new ApiError('unreachable', 'refused'), en)).toEqual({ title: en.failure.unreachable, detail: '' });
  });
  it('have words in both languages', () => {
    expect(Object.keys(de.problem).sort()).toEqual(Object.keys(en.problem).sort());
    expect(Object.keys(de.market.refusal).sort()).toEqual(Object.keys(en.market.refusal).sort());
    expect(Object.keys(de.devices.kind).sort()).toEqual(Object.keys(en.devices.kind).sort());
    expect(Object.keys(de.receipt.fault).sort()).toEqual(Object.keys(en.receipt.fault).sort());
  });
});

describe('wallets and tokens', () => {
  it('are checked before they are sent', () => {
    expect([isAddress(`0x${'aB'.repeat(20)}`), isAddress('0x12'), isAddress('')]).toEqual([true, false, false]);
    expect([isSignature(`0x${'1c'.repeat(65)}`), isSignature(`0x${'1c'.repeat(64)}`)]).toEqual([true, false]);
    expect([isToken('abc123'), isToken('two words'), isToken('naïve'), isToken('')]).toEqual([true, false, false, false]);
  });
  it('sign the message’s bytes, and nothing that is no signature counts', async () => {
    const asked: unknown[] = [];
    const signing = (signature: unknown) => ({ request: async (call: unknown) => (asked.push(call), signature) });
    expect(await signatureOf(signing(`0x${'1c'.repeat(65)}`), 'hé', '0xabc')).toBe(`0x${'1c'.repeat(65)}`);
    expect(asked).toEqual([{ method: 'personal_sign', params: ['0x68c3a9', '0xabc'] }]);
    expect(await signatureOf(signing('no'), 'a', '0xabc')).toBeNull();
  });
});
