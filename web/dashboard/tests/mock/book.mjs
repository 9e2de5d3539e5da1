// The mock's order book: levels that follow from the slot's number, and orders that are really kept.
import { TARIFF, chance, slotOf } from './market.mjs';
import { Problem, text } from './problem.mjs';

const HIGHEST = TARIFF.retail - TARIFF.network - TARIFF.platform;
const MOST_WH = 100_000;
/** Orders of this energy are decided only after the answer, and refused. */
const LATE = { 777: { code: 'book_full', detail: 'the book of the slot holds as many orders as it may' } };

export class Book {
  constructor(answers) {
    this.answers = answers;
    this.orders = new Map();
    this.commands = new Map();
    this.decisions = new Map();
    this.nextId = 5000;
  }

  depth(slot) {
    const k = this.answers.indexOf(slot);
    const status = this.answers.empty || !Number.isInteger(k) ? null : this.answers.status(k);
    if (status === null || status === 'scheduled') return null;
    const open = status === 'open';
    const level = (side) => (_, n) => ({
      limit_micro_per_kwh: 180_000n + BigInt((side === 'bid' ? -1 : 1) * (6_000 + n * 9_500)),
      energy_wh: 120 + Math.floor(1800 * chance(k, n, side === 'bid' ? 5 : 6)), orders: 1 + Math.floor(3 * chance(k, n, 8)),
    });
    const bids = open ? Array.from({ length: 6 }, level('bid')) : [];
    const offers = open ? Array.from({ length: 5 }, level('offer')) : [];
    const sum = (levels) => levels.reduce((s, l) => s + l.energy_wh, 0);
    return text({
      slot_start: slot, status, server_time: new Date().toISOString(), gate_closes_at: slot, lowest_limit_micro_per_kwh: TARIFF.feedIn, highest_limit_micro_per_kwh: HIGHEST, bid_limits: [{ zone_id: 'main', highest_limit_micro_per_kwh: HIGHEST }],
      max_order_wh: MOST_WH, bids, offers, bids_wh: sum(bids), offers_wh: sum(offers),
      last_trade: open && k % 2 === 0 ? { price_micro_per_kwh: 181_000n, energy_wh: 240, traded_at: new Date(Date.now() - 4_000).toISOString() } : null,
    });
  }

  ownOrders(member, status) {
    if (this.answers.empty) return { orders: [], next_cursor: null };
    const rows = [...this.orders.values()].filter((o) => o.member_id === member).map((o) => ({ ...o, status: o.status === 'open' && this.answers.status(this.answers.indexOf(o.slot_start)) !== 'open' ? 'expired' : o.status }));
    return { orders: rows.filter((o) => status === null || o.status === status).reverse(), next_cursor: null };
  }

  ownTrades(index, limit) {
    const rows = this.answers.settled().slice(-12).reverse().flatMap((k) => slotOf(k).trades.map((t, n) => ({ k, n, ...t })).filter((t) => t.buyer === index || t.seller === index));
    return text({
      trades: rows.slice(0, limit).map((t) => ({ trade_id: t.k * 100 + t.n, slot_start: this.answers.time(t.k), order_id: 900 + t.k, side: t.buyer === index ? 'bid' : 'offer', counterpart: this.answers.pseudonym(t.buyer === index ? t.seller : t.buyer), energy_wh: t.wh, price_micro_per_kwh: t.price, traded_at: this.answers.time(t.k - 1) })),
      next_cursor: null,
    });
  }

  tradesBySlot(limit) {
    const rows = this.answers.settled().reverse().filter((k) => slotOf(k).trades.length > 0).slice(0, limit);
    return text({
      slots: rows.map((k) => {
        const trades = slotOf(k).trades;
        const prices = trades.map((t) => t.price).sort((a, b) => (a < b ? -1 : 1));
        const summary = this.answers.summary(k);
        return { slot_start: this.answers.time(k), trades: trades.length, energy_wh: summary.traded_wh, mean_price_micro_per_kwh: summary.mean_trade_price_micro_per_kwh, lowest_price_micro_per_kwh: prices[0], highest_price_micro_per_kwh: prices.at(-1), last_trade_at: this.answers.time(k) };
      }),
      next_before: null,
    });
  }

  /** The market's answer to an order; the same client id gets the same answer. */
  place(body, key) {
    const id = body.client_id ?? key;
    if (typeof id !== 'string') throw new Problem(400, 'invalid-request', 'The request is not valid', 'name a client id');
    if (this.commands.has(id)) return this.commands.get(id);
    this.refuse(body);
    const command = { command_id: (this.nextId += 1), status: 'accepted', refusal: null };
    if (LATE[body.energy_wh]) this.decisions.set(command.command_id, LATE[body.energy_wh]);
    else {
      this.orders.set(command.command_id, {
        order_id: command.command_id, member_id: body.member_id, slot_start: body.slot_start, site_id: body.site_id, client_id: id, side: body.side, energy_wh: body.energy_wh, traded_wh: 0, remaining_wh: body.energy_wh,
        limit_micro_per_kwh: body.limit_micro_per_kwh, time_in_force: body.time_in_force, status: 'open', end_reason: null, placed_by: 'member', reason: '', gate_closes_at: body.slot_start,
      });
    }
    if (LATE[body.energy_wh]) command.status = 'submitted';
    this.commands.set(id, command);
    return command;
  }

  /** What became of a command that was decided late. */
  command(id) {
    const refusal = this.decisions.get(Number(id));
    return { command_id: Number(id), status: refusal ? 'refused' : 'accepted', refusal: refusal ?? null };
  }

  /** Refuses at once what the market would refuse in time. */
  refuse(body) {
    if (this.answers.status(this.answers.indexOf(body.slot_start)) !== 'open') throw new Problem(422, 'gate-closed', 'Gate closure has passed', 'gate closure of the slot has passed: choose a later slot');
    if (body.energy_wh > 50_000) throw new Problem(422, 'insufficient-credit', 'The bid is not covered', `the order may cost ${body.energy_wh} Wh times its limit, but only 250.00 are free`);
  }

  replace(id, body) {
    const order = this.open(id, body.member_id);
    Object.assign(order, { energy_wh: body.energy_wh ?? order.energy_wh, remaining_wh: body.energy_wh ?? order.energy_wh, limit_micro_per_kwh: body.limit_micro_per_kwh ?? order.limit_micro_per_kwh });
    return this.accepted();
  }

  cancel(id, member) {
    Object.assign(this.open(id, member), { status: 'cancelled', end_reason: 'member' });
    return this.accepted();
  }

  open(id, member) {
    const order = this.orders.get(Number(id));
    if (!order || order.member_id !== member) throw new Problem(404, 'unknown-order', 'No such order', `member ${member} has placed no order ${id}`);
    return order;
  }

  accepted = () => ({ command_id: (this.nextId += 1), status: 'accepted', refusal: null });
}
