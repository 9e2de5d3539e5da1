/** One member: balance, totals, sites and meters, orders, neighbours and the statements per slot. */
import { decimal, id, integer, list, nullable, object, text, time } from './decode';
import { reasoned, type Reasoned } from './reason';
import { batchOrNull, statementFields, type BatchSummary, type StatementFigures } from './slot';

/** Sums over all settled slots. Money is signed: positive is a credit. */
export interface MemberTotals {
  import_wh: number;
  export_wh: number;
  production_wh: number | null;
  consumption_wh: number | null;
  traded_bought_wh: number;
  traded_sold_wh: number;
  closing_bought_wh: number;
  closing_sold_wh: number;
  net_nano: bigint;
  base_nano: bigint;
  savings_nano: bigint;
}

/** `last_power_w` is positive on import. `age_s` is the age of the last reading by the server's clock. */
export interface Meter {
  meter_id: string;
  template_id: string;
  last_slot_end: string | null;
  last_power_w: number | null;
  import_wh: number | null;
  export_wh: number | null;
  age_s: number | null;
}

export interface Site {
  site_id: string;
  /** Network fees, and so the bounds of its bids, depend on it. */
  zone_id: string;
  pv_peak_w: number;
  battery_wh: number;
  meter: Meter | null;
}

export interface Order extends Reasoned {
  order_id: string;
  slot_start: string;
  energy_wh: number;
  remaining_wh: number;
  limit_micro_per_kwh: bigint;
  status: string;
  placed_by: string;
}

export interface Neighbour {
  pseudonym: string;
  bought_wh: number;
  sold_wh: number;
}

export interface Member {
  member_id: string;
  display_name: string;
  pseudonym: string;
  preset: string;
  /** Null until an account on the chain is assigned. */
  chain_address: string | null;
  balance_nano: bigint;
  open_receivable_nano: bigint;
  totals: MemberTotals;
  sites: Site[];
  orders: Order[];
  neighbours: Neighbour[];
}

const meter = object<Meter>({
  meter_id: text,
  template_id: text,
  last_slot_end: nullable(time),
  last_power_w: nullable(integer),
  import_wh: nullable(integer),
  export_wh: nullable(integer),
  age_s: nullable(integer),
});

export const member = object<Member>({
  member_id: text,
  display_name: text,
  pseudonym: text,
  preset: text,
  chain_address: nullable(text),
  balance_nano: decimal,
  open_receivable_nano: decimal,
  totals: object<MemberTotals>({
    import_wh: integer,
    export_wh: integer,
    production_wh: nullable(integer),
    consumption_wh: nullable(integer),
    traded_bought_wh: integer,
    traded_sold_wh: integer,
    closing_bought_wh: integer,
    closing_sold_wh: integer,
    net_nano: decimal,
    base_nano: decimal,
    savings_nano: decimal,
  }),
  sites: list(object<Site>({ site_id: text, zone_id: text, pv_peak_w: integer, battery_wh: integer, meter: nullable(meter) })),
  orders: list(
    object<Order>({
      order_id: id,
      slot_start: time,
      energy_wh: integer,
      remaining_wh: integer,
      limit_micro_per_kwh: decimal,
      status: text,
      placed_by: text,
      ...reasoned,
    }),
  ),
  neighbours: list(object<Neighbour>({ pseudonym: text, bought_wh: integer, sold_wh: integer })),
});

/** A member's statement of one slot at its latest revision. */
export interface Statement extends StatementFigures {
  slot_start: string;
  revision: number;
  batch: BatchSummary | null;
}

export interface StatementPage {
  statements: Statement[];
  next_before: string | null;
}

export const statementPage = object<StatementPage>({
  statements: list(object<Statement>({ slot_start: time, revision: integer, batch: batchOrNull, ...statementFields })),
  next_before: nullable(time),
});
