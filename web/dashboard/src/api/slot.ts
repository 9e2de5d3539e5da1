/** Slots as the server tells of them. Energies in Wh, prices in micro-currency per kWh, money in nano-currency. */
import { decimal, flag, integer, list, nullable, object, text, time } from './decode';

/** The states of a slot, in the order of its life. */
export const SLOT_STATES = ['scheduled', 'open', 'closed', 'metered', 'priced', 'settled', 'corrected'] as const;

/** The batch that carries a slot's net positions to the chain. */
export interface BatchSummary {
  batch_id: string;
  status: string;
  tx_hash: string | null;
  block_number: number | null;
}

const batchSummary = object<BatchSummary>({
  batch_id: text,
  status: text,
  tx_hash: nullable(text),
  block_number: nullable(integer),
});
export const batchOrNull = nullable(batchSummary);

/** One slot in figures. `null` is "not known yet", never zero. */
export interface SlotSummary {
  slot_start: string;
  slot_end: string;
  status: string;
  revision: number;
  traded_wh: number;
  trades: number;
  closing_auction_wh: number;
  closing_price_micro_per_kwh: bigint | null;
  mean_trade_price_micro_per_kwh: bigint | null;
  grid_import_wh: number;
  grid_export_wh: number;
  production_wh: number | null;
  consumption_wh: number | null;
  open_bids_wh: number;
  open_offers_wh: number;
  /** Until when orders for it are taken; null if the server does not say. */
  gate_closes_at: string | null;
  batch: BatchSummary | null;
}

export const slotSummary = object<SlotSummary>({
  slot_start: time,
  slot_end: time,
  status: text,
  revision: integer,
  traded_wh: integer,
  trades: integer,
  closing_auction_wh: integer,
  closing_price_micro_per_kwh: nullable(decimal),
  mean_trade_price_micro_per_kwh: nullable(decimal),
  grid_import_wh: integer,
  grid_export_wh: integer,
  production_wh: nullable(integer),
  consumption_wh: nullable(integer),
  open_bids_wh: integer,
  open_offers_wh: integer,
  gate_closes_at: nullable(time),
  batch: batchOrNull,
});

export interface SlotPage {
  slots: SlotSummary[];
  next_before: string | null;
}
export const slotPage = object<SlotPage>({ slots: list(slotSummary), next_before: nullable(time) });

/** What a slot's statement says of an account, whoever's it is. Money is signed: positive is a credit. */
export interface StatementFigures {
  import_wh: number;
  export_wh: number;
  production_wh: number | null;
  substituted: boolean;
  traded_bought_wh: number;
  traded_bought_nano: bigint;
  traded_sold_wh: number;
  traded_sold_nano: bigint;
  closing_bought_wh: number;
  closing_bought_nano: bigint;
  closing_sold_wh: number;
  closing_sold_nano: bigint;
  /** The part of the closing auction's energy that met a preference, and the premium for it. */
  preferred_bought_wh: number;
  preferred_bought_nano: bigint;
  preferred_sold_wh: number;
  preferred_sold_nano: bigint;
  residual_import_wh: number;
  residual_export_wh: number;
  residual_nano: bigint;
  /** Given out beyond the grid's limit: it earns nothing, and is no part of the residual. */
  curtailed_wh: number;
  /** The part of the residual import beyond the grid's limit. */
  over_limit_wh: number;
  network_fee_nano: bigint;
  platform_fee_nano: bigint;
  net_nano: bigint;
  base_nano: bigint;
}

export const statementFields = {
  import_wh: integer,
  export_wh: integer,
  production_wh: nullable(integer),
  substituted: flag,
  traded_bought_wh: integer,
  traded_bought_nano: decimal,
  traded_sold_wh: integer,
  traded_sold_nano: decimal,
  closing_bought_wh: integer,
  closing_bought_nano: decimal,
  closing_sold_wh: integer,
  closing_sold_nano: decimal,
  preferred_bought_wh: integer,
  preferred_bought_nano: decimal,
  preferred_sold_wh: integer,
  preferred_sold_nano: decimal,
  residual_import_wh: integer,
  residual_export_wh: integer,
  residual_nano: decimal,
  curtailed_wh: integer,
  over_limit_wh: integer,
  network_fee_nano: decimal,
  platform_fee_nano: decimal,
  net_nano: decimal,
  base_nano: decimal,
};
