/** Between what the limit of an order may lie: a bid's bound depends on the zone of its site. */
import type { Depth } from '../../api/market';

/** The highest limit of an order; a zone that the book does not bound takes no part in it, and nothing is refused beforehand. */
export function highestLimit(depth: Depth, side: string, zoneId: string | undefined): bigint {
  const own = side === 'bid' ? depth.bid_limits.find((one) => one.zone_id === zoneId) : undefined;
  return own?.highest_limit_micro_per_kwh ?? depth.highest_limit_micro_per_kwh;
}
