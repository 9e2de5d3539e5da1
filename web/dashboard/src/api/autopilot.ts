/** Forecasts and the autopilot of a site. `wh` of a forecast is signed: positive is left over, negative is lacking. */
import { decimal, flag, integer, list, nullable, object, text, time } from './decode';
import { getJson, sendJson } from './http';
import { query, sitePath } from './paths';
import { reasoned, type Reasoned } from './reason';

export interface ForecastSlot {
  slot_start: string;
  /** One time in ten it is below this. */
  p10_wh: number;
  p50_wh: number;
  /** One time in ten it is above this. */
  p90_wh: number;
}

export interface BatterySlot {
  slot_start: string;
  charge_wh: number;
  discharge_wh: number;
  loss_wh: number;
  /** What is in the battery at the slot's end. */
  stored_wh: number;
}

export interface BatteryPlan {
  capacity_wh: number;
  reserve_wh: number;
  stored_before_wh: number;
  slots: BatterySlot[];
}

export interface Forecast {
  made_at: string | null;
  slot_length_s: number;
  learned_from_slots: number;
  /** A slot without a figure is not in the list. */
  slots: ForecastSlot[];
  battery_plan: BatteryPlan | null;
}

export const forecast = object<Forecast>({
  made_at: nullable(time),
  slot_length_s: integer,
  learned_from_slots: integer,
  slots: list(object<ForecastSlot>({ slot_start: time, p10_wh: integer, p50_wh: integer, p90_wh: integer })),
  battery_plan: nullable(
    object<BatteryPlan>({
      capacity_wh: integer,
      reserve_wh: integer,
      stored_before_wh: integer,
      slots: list(
        object<BatterySlot>({ slot_start: time, charge_wh: integer, discharge_wh: integer, loss_wh: integer, stored_wh: integer }),
      ),
    }),
  ),
});

/** What a member sets. A limit of null is the tariff's bound. */
export interface Settings {
  preset: string;
  paused: boolean;
  bid_limit_micro_per_kwh: bigint | null;
  offer_limit_micro_per_kwh: bigint | null;
  battery_reserve_percent: number;
  follows_battery_plan: boolean;
}
const settings = {
  preset: text,
  paused: flag,
  bid_limit_micro_per_kwh: nullable(decimal),
  offer_limit_micro_per_kwh: nullable(decimal),
  battery_reserve_percent: integer,
  follows_battery_plan: flag,
};

export interface Change extends Settings {
  version: number;
  changed_by: string | null;
  changed_at: string | null;
}

/** Of the tariff and the fees now: limits lie between the lowest and the highest. */
export interface Bounds {
  lowest_limit_micro_per_kwh: bigint;
  /** Of what it pays: depends on its zone. */
  highest_limit_micro_per_kwh: bigint;
  /** Of what it takes. */
  highest_offer_limit_micro_per_kwh: bigint;
  feed_in_micro_per_kwh: bigint;
  retail_micro_per_kwh: bigint;
}

export interface Autopilot extends Change {
  site_id: string;
  bounds: Bounds;
  battery: { capacity_wh: number; power_w: number } | null;
  /** Newest first. */
  history: Change[];
}
const change = { ...settings, version: integer, changed_by: nullable(text), changed_at: nullable(time) };
export const autopilot = object<Autopilot>({
  ...change,
  site_id: text,
  bounds: object<Bounds>({
    lowest_limit_micro_per_kwh: decimal,
    highest_limit_micro_per_kwh: decimal,
    highest_offer_limit_micro_per_kwh: decimal,
    feed_in_micro_per_kwh: decimal,
    retail_micro_per_kwh: decimal,
  }),
  battery: nullable(object<{ capacity_wh: number; power_w: number }>({ capacity_wh: integer, power_w: integer })),
  history: list(object<Change>(change)),
});

/** An order that the autopilot would place: its limit moves from the first to the last as gate closure nears. */
export interface PlannedOrder extends Reasoned {
  slot_start: string;
  energy_wh: number;
  first_limit_micro_per_kwh: bigint;
  last_limit_micro_per_kwh: bigint;
}
export interface Preview {
  forecast_made_at: string | null;
  orders: PlannedOrder[];
  none_because: string | null;
}
export const preview = object<Preview>({
  forecast_made_at: nullable(time),
  orders: list(
    object<PlannedOrder>({
      slot_start: time,
      energy_wh: integer,
      first_limit_micro_per_kwh: decimal,
      last_limit_micro_per_kwh: decimal,
      ...reasoned,
    }),
  ),
  none_because: nullable(text),
});

/** What settings would have saved over past days, on the readings and prices as they were. */
export interface WhatIf {
  from: string | null;
  to: string | null;
  days: number;
  slots: number;
  base_net_nano: bigint;
  actual_net_nano: bigint;
  actual_savings_nano: bigint;
  what_if_net_nano: bigint;
  what_if_savings_nano: bigint;
  difference_nano: bigint;
  battery: { charged_wh: number; discharged_wh: number; loss_wh: number } | null;
  none_because: string | null;
}
export const whatIf = object<WhatIf>({
  from: nullable(time),
  to: nullable(time),
  days: integer,
  slots: integer,
  base_net_nano: decimal,
  actual_net_nano: decimal,
  actual_savings_nano: decimal,
  what_if_net_nano: decimal,
  what_if_savings_nano: decimal,
  difference_nano: decimal,
  battery: nullable(
    object<{ charged_wh: number; discharged_wh: number; loss_wh: number }>({ charged_wh: integer, discharged_wh: integer, loss_wh: integer }),
  ),
  none_because: nullable(text),
});

const written = (micro: bigint | null): string | null => (micro === null ? null : micro.toString());
const asQuery = (it: Settings): Record<string, string | null> => ({
  preset: it.preset,
  bid_limit_micro_per_kwh: written(it.bid_limit_micro_per_kwh),
  offer_limit_micro_per_kwh: written(it.offer_limit_micro_per_kwh),
  battery_reserve_percent: String(it.battery_reserve_percent),
  follows_battery_plan: String(it.follows_battery_plan),
});

/** The site that a call is about: community, member, site. */
export type SiteKey = readonly [string, string, string];

export const autopilotApi = {
  forecast: (site: SiteKey) => getJson(`${sitePath(...site)}/forecast`, forecast),
  settings: (site: SiteKey) => getJson(`${sitePath(...site)}/autopilot`, autopilot),
  save: (site: SiteKey, it: Settings, version: number) =>
    sendJson('PUT', `${sitePath(...site)}/autopilot`, autopilot, {
      body: {
        preset: it.preset,
        paused: it.paused,
        bid_limit_micro_per_kwh: written(it.bid_limit_micro_per_kwh),
        offer_limit_micro_per_kwh: written(it.offer_limit_micro_per_kwh),
        battery_reserve_percent: it.battery_reserve_percent,
        follows_battery_plan: it.follows_battery_plan,
        expected_version: version,
      },
    }),
  preview: (site: SiteKey, it: Settings) => getJson(`${sitePath(...site)}/autopilot/preview${query(asQuery(it))}`, preview),
  whatIf: (site: SiteKey, it: Settings, days: number) =>
    getJson(`${sitePath(...site)}/autopilot/what-if${query({ ...asQuery(it), days: String(days) })}`, whatIf),
};
