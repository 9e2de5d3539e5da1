/** Lists that grow at both ends: new slots arrive by refresh, older ones page by page. */

/** The most rows that a page keeps of one list. */
export const MOST_ROWS = 2_000;

/** A row that a slot names. */
export interface BySlot {
  slot_start: string;
}

/** `older` and `newer` as one list, newest first; where both know a slot, `newer` counts. */
export function mergeSlots<T extends BySlot>(older: readonly T[], newer: readonly T[]): T[] {
  const rows = new Map<number, T>();
  for (const row of older) rows.set(Date.parse(row.slot_start), row);
  for (const row of newer) rows.set(Date.parse(row.slot_start), row);
  return [...rows.entries()]
    .sort(([a], [b]) => b - a)
    .slice(0, MOST_ROWS)
    .map(([, row]) => row);
}

/** Whether two lists have a slot in common, so that nothing is missing between them. */
export function overlaps(a: readonly BySlot[], b: readonly BySlot[]): boolean {
  const known = new Set(a.map((row) => Date.parse(row.slot_start)));
  return b.some((row) => known.has(Date.parse(row.slot_start)));
}
