/** The four ways that energy takes in a slot, from the slot's figures. Pure. */
import type { SlotSummary } from '../api/slot';

/** Energy in Wh by the way it took. `own_wh` is null where production is not known for every site. */
export interface FlowParts {
  own_wh: number | null;
  local_wh: number;
  from_grid_wh: number;
  to_grid_wh: number;
}

/**
 * Own use is what production leaves after neighbours and grid. Trades may promise more than was
 * produced (the residual then imports the rest), so it is held at zero: a flow is never negative.
 */
export function flowParts(slot: SlotSummary): FlowParts {
  const local = slot.traded_wh + slot.closing_auction_wh;
  return {
    own_wh: slot.production_wh === null ? null : Math.max(0, slot.production_wh - local - slot.grid_export_wh),
    local_wh: local,
    from_grid_wh: slot.grid_import_wh,
    to_grid_wh: slot.grid_export_wh,
  };
}

/** Whether there is anything to draw. */
export function isEmpty(parts: FlowParts): boolean {
  return (parts.own_wh ?? 0) + parts.local_wh + parts.from_grid_wh + parts.to_grid_wh === 0;
}
