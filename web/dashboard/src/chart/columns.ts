/** The columns of the slot chart: statements laid on an unbroken row of slots. Pure. */
import type { Statement } from '../api/member';

/** One slot of the chart; `statement` is null where there is no data, and the column is hatched. */
export interface ChartSlot {
  startMs: number;
  statement: Statement | null;
}

/** The newest `count` slots up to the newest statement, oldest first. A slot without a statement is a gap. */
export function chartSlots(statements: readonly Statement[], slotLengthS: number, count: number): ChartSlot[] {
  const known = new Map(statements.map((statement) => [Date.parse(statement.slot_start), statement]));
  if (known.size === 0) return [];
  const newest = Math.max(...known.keys());
  const oldest = Math.min(...known.keys());
  const length = slotLengthS * 1000;
  const span = Math.min(count, Math.floor((newest - oldest) / length) + 1);
  return Array.from({ length: span }, (_, index) => {
    const startMs = newest - (span - 1 - index) * length;
    return { startMs, statement: known.get(startMs) ?? null };
  });
}

/** A stretch of a column, in Wh above (positive) or below the axis. */
export interface Piece {
  kind: 'local' | 'grid';
  fromWh: number;
  toWh: number;
}

/** What a slot's column is made of: bought energy above the axis, sold energy below. */
export function pieces(statement: Statement): Piece[] {
  const bought = statement.traded_bought_wh + statement.closing_bought_wh;
  const sold = statement.traded_sold_wh + statement.closing_sold_wh;
  const all: Piece[] = [
    { kind: 'local', fromWh: 0, toWh: bought },
    { kind: 'grid', fromWh: bought, toWh: bought + statement.residual_import_wh },
    { kind: 'local', fromWh: 0, toWh: -sold },
    { kind: 'grid', fromWh: -sold, toWh: -sold - statement.residual_export_wh },
  ];
  return all.filter((piece) => piece.fromWh !== piece.toWh);
}

/** The reach of the axis, in Wh, over all slots: a little air, and never nothing. */
export function reach(slots: readonly ChartSlot[]): { up: number; down: number } {
  let up = 0;
  let down = 0;
  for (const { statement } of slots) {
    if (statement === null) continue;
    for (const piece of pieces(statement)) {
      up = Math.max(up, piece.toWh);
      down = Math.max(down, -piece.toWh);
    }
    up = Math.max(up, statement.import_wh);
    down = Math.max(down, statement.export_wh);
  }
  return { up: niceStep(up), down: niceStep(down) };
}

/** The next of 1, 2, 3, 5 times a power of ten, so that the axis' ends read well; 0 stays 0. */
export function niceStep(wh: number): number {
  if (wh <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(wh));
  for (const step of [1, 1.5, 2, 3, 4, 5, 6, 8]) if (wh <= step * power) return step * power;
  return 10 * power;
}
