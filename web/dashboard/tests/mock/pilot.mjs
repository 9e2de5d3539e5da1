// The mock's autopilot: settings that are kept in versions, and figures that follow from the slot's number.
import { MEMBERS, TARIFF, chance, slotOf } from './market.mjs';
import { Problem, text } from './problem.mjs';
import { because } from './reason.mjs';

const HIGHEST = TARIFF.retail - TARIFF.network - TARIFF.platform;
const AHEAD = 96;
/** A forecast as what is left over, or as what is lacking. */
const range = (f) => (f.p50_wh > 0 ? { likely: f.p50_wh, low: f.p10_wh, high: f.p90_wh } : { likely: -f.p50_wh, low: -f.p90_wh, high: -f.p10_wh });
/** A slot that the forecast has no figure for. */
const HOLE = 21;

export class Pilot {
  constructor(answers) {
    this.answers = answers;
    this.versions = new Map();
    this.orders = new Map();
  }

  present(index) {
    const first = { version: 0, preset: 'hands-off', paused: false, bid_limit_micro_per_kwh: null, offer_limit_micro_per_kwh: null, battery_reserve_percent: 20, follows_battery_plan: false, changed_by: null, changed_at: null };
    return this.versions.get(index)?.[0] ?? first;
  }

  standing(index, site) {
    const first = { offer_limit_micro_per_kwh: null, bid_limit_micro_per_kwh: null, prefers: 'any', partners: [], premium_micro_per_kwh: '0', valid_from: null };
    const bounds = { lowest_limit_micro_per_kwh: TARIFF.feedIn, highest_limit_micro_per_kwh: HIGHEST, highest_premium_micro_per_kwh: HIGHEST - TARIFF.feedIn };
    return text({ site_id: site, zone_id: 'main', ...(this.orders.get(index) ?? first), bounds });
  }

  stand(index, site, body) {
    if (body.prefers === 'partners' && body.partners.length === 0) throw new Problem(400, 'invalid-request', 'The request is not valid', 'name 1 to 16 partners');
    this.orders.set(index, { ...body, valid_from: new Date().toISOString() });
    return this.standing(index, site);
  }

  battery = (index) => (MEMBERS[index].battery_wh === 0 ? null : { capacity_wh: MEMBERS[index].battery_wh, power_w: 5000 });

  settings(index, site) {
    const bounds = { lowest_limit_micro_per_kwh: TARIFF.feedIn, highest_limit_micro_per_kwh: HIGHEST, highest_offer_limit_micro_per_kwh: HIGHEST, feed_in_micro_per_kwh: TARIFF.feedIn, retail_micro_per_kwh: TARIFF.retail };
    return text({ site_id: site, ...this.present(index), bounds, battery: this.battery(index), history: this.versions.get(index) ?? [] });
  }

  save(index, site, { expected_version: expected, ...body }) {
    const now = this.present(index);
    if (expected !== undefined && expected !== now.version) throw new Problem(409, 'version-changed', 'The settings have changed', `the version is ${now.version}`);
    for (const key of ['bid_limit_micro_per_kwh', 'offer_limit_micro_per_kwh']) {
      const limit = body[key] === null ? TARIFF.feedIn : BigInt(body[key]);
      if (limit < TARIFF.feedIn || limit > HIGHEST) throw new Problem(400, 'invalid-limit', 'The limit is outside the tariffs', `${key} must be ${TARIFF.feedIn} to ${HIGHEST}`);
    }
    const next = { version: now.version + 1, ...body, changed_by: 'token', changed_at: new Date().toISOString() };
    this.versions.set(index, [next, ...(this.versions.get(index) ?? [])].slice(0, 20));
    return this.settings(index, site);
  }

  /** The residual that slot `k` will bring, and how sure that is. */
  figures(index, k) {
    const meter = slotOf(k).meters[index];
    const middle = meter.export_wh - meter.import_wh;
    const wide = 90 + Math.floor(400 * chance(k, index, 12));
    return { slot_start: this.answers.time(k), p10_wh: middle - wide, p50_wh: middle, p90_wh: middle + Math.floor(wide * 0.8) };
  }

  ahead = () => Array.from({ length: AHEAD }, (_, n) => n).filter((n) => n !== HOLE).map((n) => this.answers.running + 1 + n);

  forecast(index, site) {
    const slots = this.answers.empty ? [] : this.ahead().map((k) => this.figures(index, k));
    return { site_id: site, made_at: slots.length > 0 ? this.answers.time(this.answers.running) : null, slot_length_s: this.answers.slotMs / 1000, learned_from_slots: slots.length > 0 ? 1344 : 0, slots, battery_plan: this.plan(index, slots) };
  }

  plan(index, slots) {
    const battery = this.battery(index);
    if (battery === null || slots.length === 0) return null;
    const reserve = Math.floor((battery.capacity_wh * this.present(index).battery_reserve_percent) / 100);
    let stored = Math.floor(battery.capacity_wh * 0.4);
    const before = stored;
    const rows = slots.map((slot) => {
      const charge = Math.max(0, Math.min(slot.p50_wh, battery.capacity_wh - stored, 1250));
      const discharge = Math.max(0, Math.min(-slot.p50_wh, stored - reserve, 1250));
      const loss = Math.floor(charge / 20);
      stored += charge - loss - discharge;
      return { slot_start: slot.slot_start, charge_wh: charge, discharge_wh: discharge, loss_wh: loss, stored_wh: stored };
    });
    return { ...battery, reserve_wh: reserve, charge_permille: 950, discharge_permille: 1000, stored_before_wh: before, slots: rows };
  }

  preview(index, site, query) {
    const preset = query.get('preset') ?? this.present(index).preset;
    const paused = this.present(index).paused;
    const most = BigInt(query.get('bid_limit_micro_per_kwh') ?? HIGHEST);
    const orders = this.ahead().map((k) => this.figures(index, k)).filter((f) => f.p50_wh !== 0).map((f) => {
      const offer = f.p50_wh > 0;
      const energy = Math.abs(f.p50_wh);
      return { slot_start: f.slot_start, side: offer ? 'offer' : 'bid', energy_wh: energy, first_limit_micro_per_kwh: offer ? 225_600n : 110_800n, last_limit_micro_per_kwh: offer ? TARIFF.feedIn : most, ...because(preset, offer, range(f), energy, offer ? 225_000n : 110_000n) };
    });
    return text({ site_id: site, preset, forecast_made_at: this.answers.time(this.answers.running), orders: paused || this.answers.empty ? [] : orders, none_because: paused ? 'The autopilot is paused.' : null });
  }

  whatIf(index, site, query) {
    const rows = this.answers.rowsOf(index);
    const base = rows.reduce((s, r) => s + r.base_nano, 0n);
    const actual = rows.reduce((s, r) => s + r.net_nano, 0n);
    const more = query.get('preset') === 'greenest' ? 412_000_000n : query.get('preset') === 'cheapest' ? -38_500_000n : 0n;
    return text({
      site_id: site, preset: query.get('preset'), from: rows.length > 0 ? this.answers.time(0) : null, to: rows.length > 0 ? this.answers.time(rows.length) : null, days: 30, slots: rows.length, import_wh: 0, export_wh: 0,
      base_net_nano: base, actual_net_nano: actual, actual_savings_nano: actual - base, what_if_net_nano: actual + more, what_if_savings_nano: actual - base + more, difference_nano: more,
      traded_wh: 0, closing_wh: 0, grid_wh: 0, battery: this.battery(index) ? { charged_wh: 31_200, discharged_wh: 29_640, loss_wh: 1_560 } : null, none_because: rows.length > 0 ? null : 'No slot of the last 30 days has been metered yet.',
    });
  }
}
