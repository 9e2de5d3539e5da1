// The API's answers, made from the made-up market as of a moment.
import { MEMBERS, TARIFF, chance, slotOf } from './market.mjs';
import { text } from './problem.mjs';
import { because } from './reason.mjs';
import { batchId, receiptOf } from './receipts.mjs';

/** Settled slots that exist when the mock starts. */
const PAST = 60;

/** The answers of one mock: its clock is the real one, its slots are short. */
export class Answers {
  constructor({ slotS = 10, empty = false, rpcUrl = null } = {}) {
    this.rpcUrl = rpcUrl;
    this.slotMs = slotS * 1000;
    this.empty = empty;
    this.opens = Math.floor(Date.now() / this.slotMs) * this.slotMs - PAST * this.slotMs;
  }

  get running() {
    return Math.floor((Date.now() - this.opens) / this.slotMs);
  }

  time = (k) => new Date(this.opens + k * this.slotMs).toISOString().replace('.000Z', 'Z');
  indexOf = (time) => (Date.parse(time) - this.opens) / this.slotMs;

  status(k) {
    const behind = (Date.now() - this.opens) / this.slotMs - k;
    if (behind < -2) return 'scheduled';
    if (behind < 0) return 'open';
    if (behind < 1.15) return 'closed';
    if (behind < 1.3) return 'metered';
    if (behind < 1.6) return 'priced';
    return k % 29 === 11 ? 'corrected' : 'settled';
  }

  hash = (k, salt) => `0x${Array.from({ length: 8 }, (_, i) => Math.floor(chance(k, i, salt) * 2 ** 32).toString(16).padStart(8, '0')).join('')}`;

  batch(k) {
    const status = this.status(k);
    const done = ['settled', 'corrected'].includes(status);
    if (!done && status !== 'priced') return null;
    return { batch_id: `0x${batchId(this.time(k), status === 'corrected' ? 1 : 0)}`, status: done ? 'final' : 'broadcast', tx_hash: this.hash(k, 57), block_number: done ? 120 + k * 3 : null };
  }

  summary(k) {
    const slot = slotOf(k);
    const status = this.status(k);
    const measured = ['priced', 'settled', 'corrected'].includes(status);
    const traded = status === 'scheduled' ? 0 : sum(slot.trades, 'wh');
    const cost = slot.trades.reduce((s, t) => s + BigInt(t.wh) * t.price, 0n);
    const closing = measured ? sum(slot.closing, 'wh') : 0;
    return {
      slot_start: this.time(k), slot_end: this.time(k + 1), status, revision: status === 'corrected' ? 1 : 0,
      traded_wh: traded, trades: traded > 0 ? slot.trades.length : 0, closing_auction_wh: closing,
      closing_price_micro_per_kwh: closing > 0 ? String(slot.price) : null,
      mean_trade_price_micro_per_kwh: traded > 0 ? String(cost / BigInt(traded)) : null,
      grid_import_wh: measured ? sum(slot.statements, 'residual_import_wh') : 0,
      grid_export_wh: measured ? sum(slot.statements, 'residual_export_wh') : 0,
      production_wh: measured ? sum(slot.meters, 'production_wh') : null,
      consumption_wh: measured ? slot.meters.reduce((s, m) => s + m.import_wh + m.production_wh - m.export_wh, 0) : null,
      open_bids_wh: status === 'open' ? 2100 : 0, open_offers_wh: status === 'open' ? 1450 : 0, opens_at: this.time(k - 2), gate_closes_at: this.time(k), batch: this.batch(k),
    };
  }

  settled() {
    const last = this.running - 2;
    return this.empty ? [] : Array.from({ length: last + 1 }, (_, k) => k).filter((k) => this.status(k) !== 'priced');
  }

  communities = () => ({ communities: [{ community_id: 'lindenhof', name: 'Lindenhof energy community', currency: 'EUR', slot_length_s: this.slotMs / 1000 }] });

  community() {
    const done = this.settled();
    const slots = done.map((k) => slotOf(k));
    const all = (key) => slots.reduce((s, slot) => s + sum(slot.statements, key), 0);
    const made = slots.reduce((s, slot) => s + sum(slot.meters, 'production_wh'), 0);
    const [bought, imported, exported] = [slots.reduce((s, slot) => s + sum(slot.trades, 'wh') + sum(slot.closing, 'wh'), 0), all('residual_import_wh'), all('residual_export_wh')];
    const used = made - exported + imported;
    const ratio = (part, whole) => (whole === 0 ? null : Math.floor((1000 * part) / whole));
    return {
      ...this.communities().communities[0], market_opens_at: this.time(0), profile_seconds_per_slot: 900,
      tariff: { retail_micro_per_kwh: String(TARIFF.retail), feed_in_micro_per_kwh: String(TARIFF.feedIn), network_fee_micro_per_kwh: String(TARIFF.network), platform_fee_micro_per_kwh: String(TARIFF.platform) },
      chain: { chain_id: 31337, credit_address: '0x5fbdb2315678afecb367f032d93f642f64180aa3' },
      counts: this.empty ? { members: 0, sites: 0, meters: 0 } : { members: MEMBERS.length, sites: MEMBERS.length, meters: MEMBERS.length },
      totals: {
        slots_settled: done.length, readings_stored: done.length * MEMBERS.length, trades: slots.reduce((s, slot) => s + slot.trades.length, 0),
        traded_wh: slots.reduce((s, slot) => s + sum(slot.trades, 'wh'), 0), closing_auction_wh: slots.reduce((s, slot) => s + sum(slot.closing, 'wh'), 0),
        grid_import_wh: imported, grid_export_wh: exported, batches_final: done.length,
        savings_nano: String(slots.reduce((s, slot) => s + saved(slot.statements.filter((r) => r.kind === 'member')), 0n)),
        self_sufficiency_permille: ratio(used - imported, used), self_consumption_permille: ratio(made - exported, made), local_share_permille: ratio(bought, bought + imported),
      },
      current_slot: this.empty ? null : this.summary(this.running), latest_settled: done.length > 0 ? this.summary(done.at(-1)) : null,
    };
  }

  slots(limit, before) {
    if (this.empty) return { slots: [], next_before: null };
    const top = before === null ? this.running + 4 : Math.min(this.running + 4, this.indexOf(before) - 1);
    const rows = Array.from({ length: limit }, (_, i) => top - i).filter((k) => k >= 0);
    return { slots: rows.map((k) => this.summary(k)), next_before: rows.length === limit && rows.at(-1) > 0 ? this.time(rows.at(-1)) : null };
  }

  slot(time) {
    const k = this.indexOf(time);
    if (this.empty || !Number.isInteger(k) || k < 0 || k > this.running + 4) return null;
    const [full, summary, batch] = [slotOf(k), this.summary(k), this.batch(k)];
    const name = (index) => MEMBERS[index].pseudonym;
    const statements = batch ? full.statements : [];
    const done = batch?.status === 'final';
    return text({
      slot: summary,
      trades: summary.trades === 0 ? [] : full.trades.map((t, n) => ({ trade_id: k * 100 + n, buyer: name(t.buyer), seller: name(t.seller), energy_wh: t.wh, price_micro_per_kwh: t.price, traded_at: new Date(this.opens + (k - 1) * this.slotMs + n * 300).toISOString() })),
      closing_fills: !batch ? [] : full.closing.flatMap((f) => [{ account: name(f.buyer), side: 'bid', energy_wh: f.wh, price_micro_per_kwh: full.price }, { account: name(f.seller), side: 'offer', energy_wh: f.wh, price_micro_per_kwh: full.price }]),
      grid: { import_limit_wh: null, export_limit_wh: k % 9 === 5 ? 4000 : null, curtailed_wh: sum(statements, 'curtailed_wh'), over_limit_wh: 0 },
      statements, money_sum_nano: statements.reduce((s, r) => s + r.net_nano, 0n),
      transaction: batch ? { tx_hash: batch.tx_hash, status: batch.status, block_number: batch.block_number, gas_used: done ? 148_213 + 211 * (k % 7) : null, nonce: 40 + k } : null,
      positions: statements.map((r, n) => ({ account: r.account, chain_address: MEMBERS[n]?.chain_address ?? `0x${String(n).padStart(40, 'c0')}`, owed_nano: r.net_nano, settled_nano: done ? r.net_nano : null })),
    });
  }

  members() {
    return { members: this.empty ? [] : MEMBERS.map((m, index) => ({ ...pick(m, ['member_id', 'display_name', 'pseudonym', 'sites', 'pv_peak_w', 'preset']), balance_nano: String(this.balance(index)), savings_nano: String(saved(this.rowsOf(index))) })) };
  }

  rowsOf = (index) => this.settled().map((k) => slotOf(k).statements[index]);
  balance = (index) => 250_000_000_000n + this.rowsOf(index).reduce((s, r) => s + r.net_nano, 0n);

  member(id) {
    const index = this.empty ? -1 : MEMBERS.findIndex((m) => m.member_id === id);
    if (index < 0) return null;
    const [me, rows, last] = [MEMBERS[index], this.rowsOf(index), slotOf(this.running - 1).meters[index]];
    const total = (key) => rows.reduce((s, r) => s + r[key], 0);
    const nano = (key) => rows.reduce((s, r) => s + r[key], 0n);
    const at = this.running;
    const deals = this.settled().flatMap((k) => slotOf(k).trades);
    return text({
      ...pick(me, ['member_id', 'display_name', 'pseudonym', 'preset', 'chain_address']), balance_nano: this.balance(index), open_receivable_nano: 0n,
      totals: {
        import_wh: total('import_wh'), export_wh: total('export_wh'), production_wh: me.pv_peak_w === 0 ? 0 : total('production_wh'), consumption_wh: total('import_wh') + total('production_wh') - total('export_wh'),
        traded_bought_wh: total('traded_bought_wh'), traded_sold_wh: total('traded_sold_wh'), closing_bought_wh: total('closing_bought_wh'), closing_sold_wh: total('closing_sold_wh'),
        net_nano: nano('net_nano'), base_nano: nano('base_nano'), savings_nano: nano('net_nano') - nano('base_nano'),
      },
      sites: [{ site_id: `site-${id.slice(2)}`, zone_id: 'main', pv_peak_w: me.pv_peak_w, battery_wh: me.battery_wh, meter: { meter_id: `sdm-${id.slice(2)}`, template_id: 'eastron-sdm630', last_slot_end: this.time(at), last_power_w: (last.import_wh - last.export_wh) * 4, import_wh: 1_204_331 + total('import_wh'), export_wh: 388_120 + total('export_wh'), age_s: Math.floor((Date.now() - Date.parse(this.time(at))) / 1000) } }],
      orders: Array.from({ length: 8 }, (_, n) => order(this, index, at + 1 - n)),
      neighbours: MEMBERS.map((m, other) => ({ pseudonym: m.pseudonym, bought_wh: sum(deals.filter((d) => d.buyer === index && d.seller === other), 'wh'), sold_wh: sum(deals.filter((d) => d.seller === index && d.buyer === other), 'wh') })).filter((n) => n.bought_wh + n.sold_wh > 0),
    });
  }

  statements(id, limit, before) {
    const index = this.empty ? -1 : MEMBERS.findIndex((m) => m.member_id === id);
    if (index < 0) return null;
    // The third member lost a few slots: the chart must show them as gaps.
    const known = this.settled().filter((k) => (before === null || k < this.indexOf(before)) && !(index === 2 && k % 16 > 12)).reverse();
    const rows = known.slice(0, limit);
    return text({
      statements: rows.map((k) => ({ slot_start: this.time(k), revision: this.status(k) === 'corrected' ? 1 : 0, ...slotOf(k).statements[index], batch: this.batch(k) })),
      next_before: rows.length < known.length ? this.time(rows.at(-1)) : null,
    });
  }

  pseudonym = (index) => MEMBERS[index].pseudonym;

  /** Before the slot is settled there is no receipt. */
  receipt(index, time) {
    const k = this.indexOf(time);
    if (!Number.isInteger(k) || k < 0 || this.batch(k)?.status !== 'final') return null;
    return receiptOf(k, index, this.time(k), this.time(k + 1), this.summary(k).revision).text;
  }

  stack = () => ({ rpc_url: this.rpcUrl, mode: 'demonstration', notes: ['Port 8080 was taken: the dashboard is on 8081.'], started_at: this.time(0) });
}

function order(answers, index, k) {
  const m = slotOf(k).meters[index];
  const offer = m.export_wh > 0;
  const energy = Math.max(1, Math.floor((offer ? m.export_wh : m.import_wh) * 0.8));
  const likely = offer ? m.export_wh : m.import_wh;
  const forecast = { likely, low: Math.floor(likely * 0.7), high: Math.floor(likely * 1.2) };
  const open = answers.status(k) === 'open';
  const left = open ? energy : k % 3 === 0 ? Math.floor(energy / 3) : 0;
  return {
    order_id: 900 + k, slot_start: answers.time(k), side: offer ? 'offer' : 'bid', energy_wh: energy, remaining_wh: left,
    limit_micro_per_kwh: String(170_000 + (k % 9) * 3_500), status: open ? 'open' : left > 0 ? 'expired' : 'filled', placed_by: 'autopilot',
    ...because('hands-off', offer, forecast, energy, 170_000 + (k % 9) * 3_500),
  };
}

const sum = (rows, key) => rows.reduce((s, row) => s + row[key], 0);
const saved = (rows) => rows.reduce((s, r) => s + r.net_nano - r.base_nano, 0n);
const pick = (object, keys) => Object.fromEntries(keys.map((key) => [key, object[key]]));
