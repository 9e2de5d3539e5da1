/** A site's standing order: its limits and wishes in the closing auction, where most energy is shared out. */
import type { SiteKey } from './autopilot';
import { decimal, list, nullable, object, text, time } from './decode';
import { getJson, sendJson } from './http';
import { sitePath } from './paths';

/** What a member sets. A limit of null is the bound. */
export interface Wishes {
  offer_limit_micro_per_kwh: bigint | null;
  bid_limit_micro_per_kwh: bigint | null;
  /** `any`, `local`, `green` or `partners`. */
  prefers: string;
  /** Members it would rather buy from, the first of them first. */
  partners: string[];
  /** The most it pays on top of the price for what it prefers. */
  premium_micro_per_kwh: bigint;
}

export interface StandingOrder extends Wishes {
  zone_id: string;
  valid_from: string | null;
  bounds: {
    lowest_limit_micro_per_kwh: bigint;
    highest_limit_micro_per_kwh: bigint;
    highest_premium_micro_per_kwh: bigint;
  };
}

export const standingOrder = object<StandingOrder>({
  offer_limit_micro_per_kwh: nullable(decimal),
  bid_limit_micro_per_kwh: nullable(decimal),
  prefers: text,
  partners: list(text),
  premium_micro_per_kwh: decimal,
  zone_id: text,
  valid_from: nullable(time),
  bounds: object<StandingOrder['bounds']>({
    lowest_limit_micro_per_kwh: decimal,
    highest_limit_micro_per_kwh: decimal,
    highest_premium_micro_per_kwh: decimal,
  }),
});

const path = (site: SiteKey): string => `${sitePath(...site)}/standing-order`;

export const standingApi = {
  show: (site: SiteKey) => getJson(path(site), standingOrder),
  save: (site: SiteKey, it: Wishes) =>
    sendJson('PUT', path(site), standingOrder, {
      body: {
        offer_limit_micro_per_kwh: it.offer_limit_micro_per_kwh?.toString() ?? null,
        bid_limit_micro_per_kwh: it.bid_limit_micro_per_kwh?.toString() ?? null,
        prefers: it.prefers,
        partners: it.prefers === 'partners' ? it.partners : [],
        premium_micro_per_kwh: it.premium_micro_per_kwh.toString(),
      },
    }),
};
