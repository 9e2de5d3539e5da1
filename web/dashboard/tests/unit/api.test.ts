import { describe, expect, it } from 'vitest';
import { getJson } from '../../src/api/http';
import { ApiError } from '../../src/api/problem';
import { community } from '../../src/api/community';
import { DecodeError, decimal, id, integer, list, nullable, object, text, time } from '../../src/api/decode';
import { member, statementPage } from '../../src/api/member';
import { slotPage } from '../../src/api/slot';
import { slotDetail } from '../../src/api/slotDetail';
// The mock is the contract's second reader: what it answers must decode.
// @ts-expect-error: a script without types
import { Answers } from '../mock/answers.mjs';

const answers = new Answers({ slotS: 10 });
const wire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('decoders', () => {
  it('carry money beyond the integers of a float', () => {
    expect(decimal('90071992547409931', '$')).toBe(90_071_992_547_409_931n);
  });
  it.each([['1.5'], ['1e3'], [''], ['0x10'], [12], [null]])('refuse %j as money', (value) => {
    expect(() => decimal(value, '$')).toThrow(DecodeError);
  });
  it('refuse energy that a number cannot hold exactly', () => {
    expect(() => integer(2 ** 53, '$')).toThrow(DecodeError);
    expect(() => integer(1.5, '$')).toThrow(DecodeError);
  });
  it('keep null apart from zero', () => {
    expect(nullable(integer)(null, '$')).toBeNull();
    expect(nullable(integer)(0, '$')).toBe(0);
  });
  it('take ids as numbers or text, and times as they came', () => {
    expect(id(17, '$')).toBe('17');
    expect(id('17', '$')).toBe('17');
    expect(time('2026-06-01T10:00:00+00:00', '$')).toBe('2026-06-01T10:00:00+00:00');
    expect(() => time('yesterday', '$')).toThrow(DecodeError);
  });
  it('name the field that is wrong, and ignore fields they do not know', () => {
    const rows = object<{ rows: { name: string }[] }>({ rows: list(object<{ name: string }>({ name: text })) });
    expect(rows({ rows: [{ name: 'a', more: 1 }] }, '$')).toEqual({ rows: [{ name: 'a' }] });
    expect(() => rows({ rows: [{ name: 'a' }, {}] }, '$')).toThrow('$.rows[1].name');
  });
});

describe('answers', () => {
  it('of every kind decode', () => {
    const view = community(wire(answers.community()), '$');
    const latest = view.latest_settled;
    expect(latest?.batch?.tx_hash).toMatch(/^0x[0-9a-f]{64}$/);
    expect(slotPage(wire(answers.slots(5, null)), '$').slots).toHaveLength(5);
    expect(member(wire(answers.member('m-001')), '$').totals.savings_nano).toBeTypeOf('bigint');
    expect(statementPage(wire(answers.statements('m-001', 4, null)), '$').statements).toHaveLength(4);
  });
  it('of a slot add up to nothing, and each statement to its parts', () => {
    const latest = community(wire(answers.community()), '$').latest_settled;
    const detail = slotDetail(wire(answers.slot(latest?.slot_start)), '$');
    expect(detail.statements.reduce((sum, row) => sum + row.net_nano, 0n)).toBe(0n);
    expect(detail.statements.length).toBeGreaterThan(3);
  });
});

describe('the client', () => {
  const answer = (status: number, body: string): typeof fetch => async () => new Response(body, { status });
  const failure = async (fetcher: typeof fetch): Promise<unknown> => getJson('/x', text, fetcher).catch((error: unknown) => error);

  it('gives the problem document’s own words', async () => {
    const error = await failure(answer(404, '{"title":"Unknown slot","detail":"name a start"}'));
    expect(error).toMatchObject({ kind: 'missing', message: 'Unknown slot: name a start' });
    expect(error).toBeInstanceOf(ApiError);
  });
  it('tells a server that is gone from one that refuses', async () => {
    expect(await failure(answer(503, 'starting'))).toMatchObject({ kind: 'unreachable' });
    expect(await failure(answer(400, '{"title":"Bad limit"}'))).toMatchObject({ kind: 'refused' });
    const dead: typeof fetch = async () => {
      throw new TypeError('connection refused');
    };
    expect(await failure(dead)).toMatchObject({ kind: 'unreachable', message: 'connection refused' });
  });
  it('treats a torn answer as no answer', async () => {
    expect(await failure(answer(200, '{"half":'))).toMatchObject({ kind: 'unreachable' });
  });
  it('hands over what it decoded', async () => {
    expect(await getJson('/x', text, answer(200, '"yes"'))).toBe('yes');
  });
});
