/** The fan of a forecast: a band from the low to the high figure and the likely one within, slot by slot. Pure. */
import { niceStep } from './columns';

/** The most slots that are drawn. */
const MOST = 400;

export interface FanSlot {
  startMs: number;
  /** Null where there is no figure: hatched. */
  figures: { low: number; middle: number; high: number } | null;
}

interface Source {
  slot_start: string;
  p10_wh: number;
  p50_wh: number;
  p90_wh: number;
}

/** The slots from the first to the last known, without holes: a slot without a figure is there as a gap. */
export function fanSlots(slots: readonly Source[], slotLengthS: number): FanSlot[] {
  const known = new Map(slots.map((slot) => [Date.parse(slot.slot_start), slot]));
  if (known.size === 0) return [];
  const first = Math.min(...known.keys());
  const length = slotLengthS * 1000;
  const span = Math.min(MOST, Math.round((Math.max(...known.keys()) - first) / length) + 1);
  return Array.from({ length: span }, (_, index) => {
    const startMs = first + index * length;
    const slot = known.get(startMs);
    return { startMs, figures: slot === undefined ? null : { low: slot.p10_wh, middle: slot.p50_wh, high: slot.p90_wh } };
  });
}

/** How far the axis reaches up and down, in Wh. */
export function fanReach(slots: readonly FanSlot[]): { up: number; down: number } {
  let up = 0;
  let down = 0;
  for (const { figures } of slots) {
    if (figures === null) continue;
    up = Math.max(up, figures.high);
    down = Math.max(down, -figures.low);
  }
  return { up: niceStep(up), down: niceStep(down) };
}

/** Stretches without a gap, as indexes from the first to the last. */
export function runs(slots: readonly FanSlot[]): [number, number][] {
  const all: [number, number][] = [];
  slots.forEach((slot, index) => {
    const last = all.at(-1);
    if (slot.figures === null) return;
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else all.push([index, index]);
  });
  return all;
}

type Scale = (wh: number) => number;

/** The band's outline over a stretch: level over each slot, as the energy of a slot is one figure. */
export function bandOf(slots: readonly FanSlot[], [from, to]: [number, number], x: (index: number) => number, y: Scale): string {
  const top: string[] = [];
  const bottom: string[] = [];
  for (let index = from; index <= to; index += 1) {
    const figures = slots[index]?.figures;
    if (!figures) continue;
    top.push(`${x(index)} ${y(figures.high)}`, `${x(index + 1)} ${y(figures.high)}`);
    bottom.unshift(`${x(index + 1)} ${y(figures.low)}`, `${x(index)} ${y(figures.low)}`);
  }
  return `M${[...top, ...bottom].join('L')}Z`;
}

/** The likely figure over a stretch, as a line of steps. */
export function lineOf(slots: readonly FanSlot[], [from, to]: [number, number], x: (index: number) => number, y: Scale): string {
  const points: string[] = [];
  for (let index = from; index <= to; index += 1) {
    const figures = slots[index]?.figures;
    if (figures) points.push(`${x(index)} ${y(figures.middle)}`, `${x(index + 1)} ${y(figures.middle)}`);
  }
  return `M${points.join('L')}`;
}
