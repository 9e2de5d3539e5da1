// A small made-up market with exact sums, so that the dashboard can be tested without the services.
// It is a function of a slot's number alone: every run gives the same figures.

export const TARIFF = { retail: 321_000n, feedIn: 82_000n, network: 41_500n, platform: 4_000n };
const NAMES = ['Alder', 'Aspen', 'Beech', 'Birch', 'Cedar', 'Elm', 'Hazel', 'Juniper', 'Larch', 'Linden', 'Maple', 'Oak', 'Pine', 'Rowan', 'Spruce', 'Willow'];
const PRESETS = ['hands-off', 'greenest', 'cheapest', 'hands-off', 'paused'];

export const MEMBERS = NAMES.map((pseudonym, index) => ({
  member_id: `m-${String(index + 1).padStart(3, '0')}`,
  display_name: `Household ${index + 1}`,
  pseudonym,
  preset: PRESETS[index % PRESETS.length],
  sites: 1,
  pv_peak_w: index % 3 === 2 ? 0 : 4200 + 1350 * (index % 5),
  battery_wh: index % 4 === 0 ? 9600 : 0,
  chain_address: `0x${(0xabc0000 + index * 7919).toString(16).padStart(40, '5e1f')}`,
}));

/** A number from 0 to 1 that depends on its arguments alone. */
export function chance(...parts) {
  let hash = 2166136261;
  for (const part of parts) hash = Math.imul(hash ^ part, 16777619) ^ (hash >>> 13);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** What each member's meter counts in slot `k`, in Wh. The mock starts with slot 60, at half past twelve of a bright day. */
function metered(k) {
  const hour = (21.5 + k / 4) % 24;
  const sun = Math.max(0, Math.sin(((hour - 6) / 12) * Math.PI));
  return MEMBERS.map((member, index) => {
    const production = Math.round((member.pv_peak_w / 4) * sun * (0.72 + 0.25 * chance(k, 7)));
    const use = Math.round(110 + 520 * chance(k, index, 1) + (chance(k, index, 2) > 0.86 ? 1900 : 0));
    return { import_wh: Math.max(0, use - production), export_wh: Math.max(0, production - use), production_wh: production };
  });
}

function match(wants, gives, share) {
  const deals = [];
  let seller = 0;
  for (const want of wants) {
    let need = Math.floor(want.wh * share);
    while (need > 0 && seller < gives.length) {
      const wh = Math.min(need, Math.floor(gives[seller].left));
      if (wh > 0) deals.push({ buyer: want.index, seller: gives[seller].index, wh });
      need -= wh;
      want.left -= wh;
      gives[seller].left -= wh;
      if (gives[seller].left < 1) seller += 1;
    }
  }
  return deals;
}

const cache = new Map();

/** Slot `k` in full: meters, trades, closing fills and the statements of all accounts. */
export function slotOf(k) {
  if (!cache.has(k)) cache.set(k, compute(k));
  return cache.get(k);
}

function compute(k) {
  const meters = metered(k);
  const wants = meters.flatMap((m, index) => (m.import_wh > 0 ? [{ index, wh: m.import_wh, left: m.import_wh }] : []));
  const gives = meters.flatMap((m, index) => (m.export_wh > 0 ? [{ index, left: Math.floor(m.export_wh * 0.8) }] : []));
  const trades = match(wants, gives, 0.7).map((deal, n) => ({
    ...deal,
    price: TARIFF.feedIn + BigInt(Math.round(60_000 + 110_000 * chance(k, n, 3)) * 1),
  }));
  const sold = meters.map((_, index) => trades.filter((t) => t.seller === index).reduce((sum, t) => sum + t.wh, 0));
  const rest = meters.flatMap((m, index) => (m.export_wh > sold[index] ? [{ index, left: m.export_wh - sold[index] }] : []));
  const open = wants.filter((want) => want.left > 0).map((want) => ({ ...want, wh: want.left }));
  const closing = match(open, rest, 1);
  const price = (TARIFF.feedIn + TARIFF.retail - TARIFF.network - TARIFF.platform) / 2n;
  return { k, meters, trades, closing, price, statements: statementsOf(k, meters, trades, closing, price) };
}

function statementsOf(k, meters, trades, closing, price) {
  const rows = meters.map((m, index) => {
    const sum = (deals, side) => deals.filter((d) => d[side] === index).reduce((s, d) => s + d.wh, 0);
    const money = (deals, side) => deals.filter((d) => d[side] === index).reduce((s, d) => s + BigInt(d.wh) * (d.price ?? price), 0n);
    const bought = sum(trades, 'buyer') + sum(closing, 'buyer');
    const sold = sum(trades, 'seller') + sum(closing, 'seller');
    const row = {
      account: MEMBERS[index].pseudonym, kind: 'member', ...m, substituted: k % 19 === 4 && index === 2,
      traded_bought_wh: sum(trades, 'buyer'), traded_bought_nano: -money(trades, 'buyer'),
      traded_sold_wh: sum(trades, 'seller'), traded_sold_nano: money(trades, 'seller'),
      closing_bought_wh: sum(closing, 'buyer'), closing_bought_nano: -money(closing, 'buyer'),
      closing_sold_wh: sum(closing, 'seller'), closing_sold_nano: money(closing, 'seller'),
      ...PREFERRED, residual_import_wh: m.import_wh - bought, residual_export_wh: m.export_wh - sold,
      network_fee_nano: -BigInt(bought) * TARIFF.network, platform_fee_nano: -BigInt(bought) * TARIFF.platform,
      base_nano: BigInt(m.export_wh) * TARIFF.feedIn - BigInt(m.import_wh) * TARIFF.retail,
    };
    // Now and then the grid takes less: what is curtailed earns nothing.
    row.curtailed_wh = k % 9 === 5 ? Math.floor(row.residual_export_wh / 10) : 0;
    row.residual_export_wh -= row.curtailed_wh;
    row.residual_nano = BigInt(row.residual_export_wh) * TARIFF.feedIn - BigInt(row.residual_import_wh) * TARIFF.retail;
    row.net_nano = NANO.reduce((s, key) => s + row[key], 0n);
    return row;
  });
  for (const [kind, key] of [['grid', 'residual_nano'], ['network', 'network_fee_nano'], ['platform', 'platform_fee_nano']]) {
    const row = { ...NOTHING, account: kind, kind };
    row[key] = -rows.slice(0, meters.length).reduce((s, r) => s + r[key], 0n);
    row.net_nano = row[key];
    rows.push(row);
  }
  return rows;
}

const NANO = ['traded_bought_nano', 'traded_sold_nano', 'closing_bought_nano', 'closing_sold_nano', 'residual_nano', 'network_fee_nano', 'platform_fee_nano'];
const PREFERRED = { preferred_bought_wh: 0, preferred_bought_nano: 0n, preferred_sold_wh: 0, preferred_sold_nano: 0n, curtailed_wh: 0, over_limit_wh: 0 };
const NOTHING = {
  ...PREFERRED,
  import_wh: 0, export_wh: 0, production_wh: null, substituted: false,
  traded_bought_wh: 0, traded_bought_nano: 0n, traded_sold_wh: 0, traded_sold_nano: 0n,
  closing_bought_wh: 0, closing_bought_nano: 0n, closing_sold_wh: 0, closing_sold_nano: 0n,
  residual_import_wh: 0, residual_export_wh: 0, residual_nano: 0n, network_fee_nano: 0n, platform_fee_nano: 0n, net_nano: 0n, base_nano: 0n,
};
