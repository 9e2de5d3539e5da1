/** The market: book depth, a member's own orders and trades, and what can be done with an order. */
import { decimal, id, integer, list, nullable, object, text, time } from './decode';
import { getJson, sendJson } from './http';
import { communityPath, memberPath, query } from './paths';
import { reasoned, type Reasoned } from './reason';

/** All orders at one limit; whose they are is not told. */
export interface Level {
  limit_micro_per_kwh: bigint;
  energy_wh: number;
  orders: number;
}

export interface Depth {
  slot_start: string;
  status: string;
  gate_closes_at: string;
  /** Within these a limit must lie. */
  lowest_limit_micro_per_kwh: bigint;
  highest_limit_micro_per_kwh: bigint;
  /** Of bids, by the zone of the buyer's site. */
  bid_limits: { zone_id: string; highest_limit_micro_per_kwh: bigint }[];
  max_order_wh: number;
  /** Best first. */
  bids: Level[];
  offers: Level[];
  bids_wh: number;
  offers_wh: number;
  last_trade: { price_micro_per_kwh: bigint; energy_wh: number; traded_at: string } | null;
}

const level = object<Level>({ limit_micro_per_kwh: decimal, energy_wh: integer, orders: integer });
export const depth = object<Depth>({
  slot_start: time,
  status: text,
  gate_closes_at: time,
  lowest_limit_micro_per_kwh: decimal,
  highest_limit_micro_per_kwh: decimal,
  bid_limits: list(object<{ zone_id: string; highest_limit_micro_per_kwh: bigint }>({ zone_id: text, highest_limit_micro_per_kwh: decimal })),
  max_order_wh: integer,
  bids: list(level),
  offers: list(level),
  bids_wh: integer,
  offers_wh: integer,
  last_trade: nullable(
    object<{ price_micro_per_kwh: bigint; energy_wh: number; traded_at: string }>({
      price_micro_per_kwh: decimal,
      energy_wh: integer,
      traded_at: time,
    }),
  ),
});

export interface OwnOrder extends Reasoned {
  order_id: string;
  slot_start: string;
  site_id: string;
  energy_wh: number;
  traded_wh: number;
  remaining_wh: number;
  limit_micro_per_kwh: bigint;
  status: string;
  /** Why it ended before it was filled; null while it is open or filled. */
  end_reason: string | null;
  placed_by: string;
  gate_closes_at: string;
}
export interface OwnOrderPage {
  orders: OwnOrder[];
  next_cursor: string | null;
}
export const ownOrders = object<OwnOrderPage>({
  orders: list(
    object<OwnOrder>({
      order_id: id,
      slot_start: time,
      site_id: text,
      energy_wh: integer,
      traded_wh: integer,
      remaining_wh: integer,
      limit_micro_per_kwh: decimal,
      status: text,
      end_reason: nullable(text),
      placed_by: text,
      ...reasoned,
      gate_closes_at: time,
    }),
  ),
  next_cursor: nullable(text),
});

export interface OwnTrade {
  trade_id: string;
  slot_start: string;
  side: string;
  /** The neighbour, by pseudonym. */
  counterpart: string;
  energy_wh: number;
  price_micro_per_kwh: bigint;
  traded_at: string;
}
export const ownTrades = object<{ trades: OwnTrade[] }>({
  trades: list(
    object<OwnTrade>({
      trade_id: id,
      slot_start: time,
      side: text,
      counterpart: text,
      energy_wh: integer,
      price_micro_per_kwh: decimal,
      traded_at: time,
    }),
  ),
});

/** What a slot's trades came to, whoever's they were. */
export interface SlotTrades {
  slot_start: string;
  trades: number;
  energy_wh: number;
  mean_price_micro_per_kwh: bigint;
  lowest_price_micro_per_kwh: bigint;
  highest_price_micro_per_kwh: bigint;
}
export const tradesBySlot = object<{ slots: SlotTrades[] }>({
  slots: list(
    object<SlotTrades>({
      slot_start: time,
      trades: integer,
      energy_wh: integer,
      mean_price_micro_per_kwh: decimal,
      lowest_price_micro_per_kwh: decimal,
      highest_price_micro_per_kwh: decimal,
    }),
  ),
});

/** What the market made of an order, a replacement or a cancellation. */
export interface Command {
  command_id: string;
  status: string;
  refusal: { code: string; detail: string } | null;
}
export const command = object<Command>({
  command_id: id,
  status: text,
  refusal: nullable(object<{ code: string; detail: string }>({ code: text, detail: text })),
});

export interface NewOrder {
  member_id: string;
  site_id: string;
  slot_start: string;
  side: 'bid' | 'offer';
  energy_wh: number;
  limit_micro_per_kwh: string;
  time_in_force: string;
}

export const marketApi = {
  depth: (community: string, slot: string) =>
    getJson(`${communityPath(community)}/slots/${encodeURIComponent(slot)}/depth`, depth),
  orders: (community: string, member: string, status: string | null, limit: number) =>
    getJson(`${memberPath(community, member)}/orders${query({ status, limit: String(limit) })}`, ownOrders),
  trades: (community: string, member: string, limit: number) =>
    getJson(`${memberPath(community, member)}/trades${query({ limit: String(limit) })}`, ownTrades),
  tradesBySlot: (community: string, limit: number) =>
    getJson(`${communityPath(community)}/trades${query({ limit: String(limit) })}`, tradesBySlot),
  command: (community: string, commandId: string) =>
    getJson(`${communityPath(community)}/commands/${encodeURIComponent(commandId)}`, command),
  place: (community: string, order: NewOrder, clientId: string) =>
    sendJson('POST', `${communityPath(community)}/orders`, command, {
      body: { ...order, client_id: clientId },
      idempotencyKey: clientId,
    }),
  replace: (community: string, orderId: string, member: string, clientId: string, energyWh: number, limit: string) =>
    sendJson('PATCH', `${communityPath(community)}/orders/${encodeURIComponent(orderId)}`, command, {
      body: { member_id: member, client_id: clientId, energy_wh: energyWh, limit_micro_per_kwh: limit },
    }),
  cancel: (community: string, orderId: string, member: string, clientId: string) =>
    sendJson(
      'DELETE',
      `${communityPath(community)}/orders/${encodeURIComponent(orderId)}${query({ member_id: member, client_id: clientId })}`,
      command,
    ),
};
