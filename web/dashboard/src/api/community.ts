/** Communities, their members in a list, and the state of the running stack. */
import { decimal, integer, list, nullable, object, text, time } from './decode';
import { slotSummary, type SlotSummary } from './slot';

export interface CommunityHead {
  community_id: string;
  name: string;
  currency: string;
  slot_length_s: number;
}
const head = { community_id: text, name: text, currency: text, slot_length_s: integer };
export const communityList = object<{ communities: CommunityHead[] }>({ communities: list(object<CommunityHead>(head)) });

/** Prices in micro-currency per kWh. */
export interface Tariff {
  retail_micro_per_kwh: bigint;
  feed_in_micro_per_kwh: bigint;
  network_fee_micro_per_kwh: bigint;
  platform_fee_micro_per_kwh: bigint;
}

/** Sums since the market opened. A ratio is null where its denominator is zero or a part is not known. */
export interface Totals {
  slots_settled: number;
  readings_stored: number;
  trades: number;
  traded_wh: number;
  closing_auction_wh: number;
  grid_import_wh: number;
  grid_export_wh: number;
  batches_final: number;
  savings_nano: bigint;
  self_sufficiency_permille: number | null;
  self_consumption_permille: number | null;
  local_share_permille: number | null;
}

export interface Community extends CommunityHead {
  market_opens_at: string;
  profile_seconds_per_slot: number | null;
  /** Null before the first tariff is valid. */
  tariff: Tariff | null;
  chain: { chain_id: number; credit_address: string } | null;
  counts: { members: number; sites: number; meters: number };
  totals: Totals;
  current_slot: SlotSummary | null;
  latest_settled: SlotSummary | null;
}

export const community = object<Community>({
  ...head,
  market_opens_at: time,
  profile_seconds_per_slot: nullable(integer),
  tariff: nullable(object<Tariff>({
    retail_micro_per_kwh: decimal,
    feed_in_micro_per_kwh: decimal,
    network_fee_micro_per_kwh: decimal,
    platform_fee_micro_per_kwh: decimal,
  })),
  chain: nullable(object<{ chain_id: number; credit_address: string }>({ chain_id: integer, credit_address: text })),
  counts: object<Community['counts']>({ members: integer, sites: integer, meters: integer }),
  totals: object<Totals>({
    slots_settled: integer,
    readings_stored: integer,
    trades: integer,
    traded_wh: integer,
    closing_auction_wh: integer,
    grid_import_wh: integer,
    grid_export_wh: integer,
    batches_final: integer,
    savings_nano: decimal,
    self_sufficiency_permille: nullable(integer),
    self_consumption_permille: nullable(integer),
    local_share_permille: nullable(integer),
  }),
  current_slot: nullable(slotSummary),
  latest_settled: nullable(slotSummary),
});

export interface MemberRow {
  member_id: string;
  display_name: string;
  pseudonym: string;
  sites: number;
  pv_peak_w: number;
  preset: string;
  balance_nano: bigint;
  savings_nano: bigint;
}
export const memberList = object<{ members: MemberRow[] }>({
  members: list(
    object<MemberRow>({
      member_id: text,
      display_name: text,
      pseudonym: text,
      sites: integer,
      pv_peak_w: integer,
      preset: text,
      balance_nano: decimal,
      savings_nano: decimal,
    }),
  ),
});

/** What is running: `mode` is demonstration or production; notes are for the operator. */
export interface Stack {
  mode: string;
  notes: string[];
  started_at: string;
  /** A node of the chain that browsers may ask; null if the server names none. */
  rpc_url: string | null;
}
export const stack = object<Stack>({ mode: text, notes: list(text), started_at: time, rpc_url: nullable(text) });
