/** A slot in full: trades, closing auction, statements of every account, and the batch on the chain. */
import { decimal, id, integer, list, nullable, object, text, time } from './decode';
import { slotSummary, statementFields, type SlotSummary, type StatementFigures } from './slot';

export interface Trade {
  trade_id: string;
  buyer: string;
  seller: string;
  energy_wh: number;
  price_micro_per_kwh: bigint;
  traded_at: string;
}

export interface ClosingFill {
  account: string;
  side: string;
  energy_wh: number;
  price_micro_per_kwh: bigint;
}

/** `kind` is member, grid, network, platform or reserve. */
export interface AccountStatement extends StatementFigures {
  account: string;
  kind: string;
}

export interface Transaction {
  tx_hash: string;
  status: string;
  block_number: number | null;
  gas_used: number | null;
  nonce: number;
}

/** `settled_nano` is null until the batch is signed; where it differs from `owed_nano`, the rest is carried. */
export interface Position {
  account: string;
  chain_address: string;
  owed_nano: bigint;
  settled_nano: bigint | null;
}

export interface SlotDetail {
  slot: SlotSummary;
  trades: Trade[];
  closing_fills: ClosingFill[];
  statements: AccountStatement[];
  money_sum_nano: bigint;
  transaction: Transaction | null;
  positions: Position[];
  /** Null from a server that does not tell of the grid's limits. */
  grid: GridLimits | null;
}

/** How much may flow over the community's connection point (null: no limit), and what was beyond that. */
export interface GridLimits {
  import_limit_wh: number | null;
  export_limit_wh: number | null;
  curtailed_wh: number;
  over_limit_wh: number;
}

export const slotDetail = object<SlotDetail>({
  slot: slotSummary,
  trades: list(
    object<Trade>({
      trade_id: id,
      buyer: text,
      seller: text,
      energy_wh: integer,
      price_micro_per_kwh: decimal,
      traded_at: time,
    }),
  ),
  closing_fills: list(
    object<ClosingFill>({ account: text, side: text, energy_wh: integer, price_micro_per_kwh: decimal }),
  ),
  statements: list(object<AccountStatement>({ account: text, kind: text, ...statementFields })),
  money_sum_nano: decimal,
  transaction: nullable(
    object<Transaction>({
      tx_hash: text,
      status: text,
      block_number: nullable(integer),
      gas_used: nullable(integer),
      nonce: integer,
    }),
  ),
  positions: list(
    object<Position>({
      account: text,
      chain_address: text,
      owed_nano: decimal,
      settled_nano: nullable(decimal),
    }),
  ),
  grid: nullable(
    object<GridLimits>({
      import_limit_wh: nullable(integer),
      export_limit_wh: nullable(integer),
      curtailed_wh: integer,
      over_limit_wh: integer,
    }),
  ),
});
