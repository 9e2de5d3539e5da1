/** Where the bands of the flow picture lie: a picture's geometry from energies and a width. Pure. */
import type { FlowParts } from './parts';

export type Way = 'own' | 'local' | 'from_grid' | 'to_grid';

/** A band from the left nodes to the right ones; `y` are its upper edges, in pixels. */
export interface Band {
  way: Way;
  wh: number;
  thickness: number;
  leftY: number;
  rightY: number;
}

/** A place where energy enters or leaves. `y` and `height` in pixels. */
export interface Node {
  name: 'production' | 'homes' | 'grid';
  side: 'left' | 'right';
  wh: number;
  y: number;
  height: number;
}

export interface FlowLayout {
  height: number;
  bands: Band[];
  nodes: Node[];
  /** The busbar: the conductor in the middle on which neighbours meet. */
  bus: { y: number; height: number } | null;
}

/** Pixels for a node's two lines of text, above the node. */
const LABEL = 44;
/** Pixels that the larger side's energy takes, in a narrow and in a wide picture. */
const SCALE = { narrow: 170, wide: 290 };
/** From this width on a picture is wide. */
const WIDE_FROM = 520;
/** A flow that exists is never drawn thinner. */
const THINNEST = 3;
/** The busbar stands out over its band by this. */
const OVERHANG = 12;

/** Lays the picture out. Ways without energy have no band; nodes without energy do not stand there. */
export function flowLayout(parts: FlowParts, width: number): FlowLayout {
  const wh: Record<Way, number> = {
    own: parts.own_wh ?? 0,
    local: parts.local_wh,
    from_grid: parts.from_grid_wh,
    to_grid: parts.to_grid_wh,
  };
  const produced = wh.own + wh.local + wh.to_grid;
  const used = wh.own + wh.local + wh.from_grid;
  const most = Math.max(produced + wh.from_grid, used + wh.to_grid, 1);
  const scale = width >= WIDE_FROM ? SCALE.wide : SCALE.narrow;
  const thick = (way: Way): number => (wh[way] === 0 ? 0 : Math.max(THINNEST, (wh[way] / most) * scale));

  const left = stack([['production', ['own', 'local', 'to_grid']], ['grid', ['from_grid']]], 'left', wh, thick);
  const right = stack([['homes', ['own', 'local', 'from_grid']], ['grid', ['to_grid']]], 'right', wh, thick);
  const bands: Band[] = (['to_grid', 'from_grid', 'own', 'local'] as const)
    .filter((way) => wh[way] > 0)
    .map((way) => ({
      way,
      wh: wh[way],
      thickness: thick(way),
      leftY: left.tops.get(way) ?? 0,
      rightY: right.tops.get(way) ?? 0,
    }));
  const local = bands.find((band) => band.way === 'local');
  return {
    height: Math.max(left.bottom, right.bottom) + OVERHANG,
    bands,
    nodes: [...left.nodes, ...right.nodes],
    bus: local
      ? { y: (local.leftY + local.rightY) / 2 - OVERHANG, height: local.thickness + 2 * OVERHANG }
      : null,
  };
}

function stack(
  groups: [Node['name'], Way[]][],
  side: Node['side'],
  wh: Record<Way, number>,
  thick: (way: Way) => number,
): { nodes: Node[]; tops: Map<Way, number>; bottom: number } {
  const nodes: Node[] = [];
  const tops = new Map<Way, number>();
  let y = 0;
  for (const [name, ways] of groups) {
    const energy = ways.reduce((sum, way) => sum + wh[way], 0);
    if (energy === 0) continue;
    y += LABEL;
    const top = y;
    for (const way of ways) {
      tops.set(way, y);
      y += thick(way);
    }
    nodes.push({ name, side, wh: energy, y: top, height: y - top });
    y += 10;
  }
  return { nodes, tops, bottom: y };
}

/** The closed outline of a band between `x0` and `x1`. */
export function bandPath(band: Band, x0: number, x1: number): string {
  const middle = (x0 + x1) / 2;
  const { leftY, rightY, thickness } = band;
  return (
    `M${x0} ${leftY}C${middle} ${leftY} ${middle} ${rightY} ${x1} ${rightY}` +
    `V${rightY + thickness}C${middle} ${rightY + thickness} ${middle} ${leftY + thickness} ${x0} ${leftY + thickness}Z`
  );
}

/** The line along the middle of a band, on which the movement is drawn. */
export function bandSpine(band: Band, x0: number, x1: number): string {
  const middle = (x0 + x1) / 2;
  const from = band.leftY + band.thickness / 2;
  const to = band.rightY + band.thickness / 2;
  return `M${x0} ${from}C${middle} ${from} ${middle} ${to} ${x1} ${to}`;
}
