/** The strip of days of a device: one cell a day, with what is there and what is missing. Pure. */
import type { Day } from '../../api/devices';

const DAY_MS = 86_400_000;

/** A day of the strip; `share` is what is stored of what was due, 0 to 1; null where nothing was due. */
export interface Cell {
  dayMs: number;
  share: number | null;
  stored: number;
  due: number;
}

/** The newest `count` days up to the newest one known, oldest first; days between that are not told of had nothing due. */
export function strip(days: readonly Day[], count: number): Cell[] {
  const known = new Map(days.map((day) => [Date.parse(day.day), day]));
  if (known.size === 0) return [];
  const newest = Math.max(...known.keys());
  const oldest = Math.min(...known.keys());
  const span = Math.min(count, Math.round((newest - oldest) / DAY_MS) + 1);
  return Array.from({ length: span }, (_, index) => {
    const dayMs = newest - (span - 1 - index) * DAY_MS;
    const day = known.get(dayMs);
    if (day === undefined || day.due <= 0) return { dayMs, share: null, stored: 0, due: 0 };
    return { dayMs, share: Math.min(1, Math.max(0, day.stored / day.due)), stored: day.stored, due: day.due };
  });
}
