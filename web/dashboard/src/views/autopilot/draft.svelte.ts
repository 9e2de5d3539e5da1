/** The autopilot's settings while they are being changed: what is typed, and what it means. */
import type { Autopilot, Bounds, Settings } from '../../api/autopilot';
import { parsePrice, typedPrice } from '../../format/price';

/** Between what a limit lies. */
export type Reach = Pick<Bounds, 'lowest_limit_micro_per_kwh' | 'highest_limit_micro_per_kwh'>;

/** Between what the least that is taken lies: neighbours in other zones may be able to pay more than this one. */
export const ofOffers = (bounds: Bounds): Reach => ({ ...bounds, highest_limit_micro_per_kwh: bounds.highest_offer_limit_micro_per_kwh });

/** A limit that is the member's own, or the tariff's bound. */
export class LimitDraft {
  own = $state(false);
  typed = $state('');

  constructor(
    private readonly currency: string,
    private readonly lang: () => string,
  ) {}

  take(micro: bigint | null, bound: bigint): void {
    this.own = micro !== null;
    this.typed = typedPrice(micro ?? bound, this.currency, this.lang());
  }

  /** From the slider: whole micro-currency. */
  slide(micro: string): void {
    this.typed = typedPrice(BigInt(micro), this.currency, this.lang());
  }

  /** What is typed, if it lies within the bounds; null otherwise. */
  within(bounds: Reach): bigint | null {
    const micro = parsePrice(this.typed, this.currency);
    if (micro === null) return null;
    return micro >= bounds.lowest_limit_micro_per_kwh && micro <= bounds.highest_limit_micro_per_kwh ? micro : null;
  }
}

export class Draft {
  preset = $state('hands-off');
  reserve = $state(0);
  follows = $state(false);
  bid: LimitDraft;
  offer: LimitDraft;
  private taken = $state.raw<Autopilot | null>(null);

  constructor(currency: string, lang: () => string) {
    this.bid = new LimitDraft(currency, lang);
    this.offer = new LimitDraft(currency, lang);
  }

  /** Starts from what is stored. */
  take(stored: Autopilot): void {
    this.taken = stored;
    this.preset = stored.preset;
    this.reserve = stored.battery_reserve_percent;
    this.follows = stored.follows_battery_plan;
    this.bid.take(stored.bid_limit_micro_per_kwh, stored.bounds.highest_limit_micro_per_kwh);
    this.offer.take(stored.offer_limit_micro_per_kwh, stored.bounds.lowest_limit_micro_per_kwh);
  }

  /** Follows what is stored, unless something is being changed. */
  follow(stored: Autopilot): void {
    if (this.taken === null || (this.taken.version !== stored.version && !this.changed(this.taken))) this.take(stored);
  }

  /** The settings as they would be stored; null while an entry is not valid. */
  settings(stored: Autopilot): Settings | null {
    const bid = this.bid.own ? this.bid.within(stored.bounds) : null;
    const offer = this.offer.own ? this.offer.within(ofOffers(stored.bounds)) : null;
    if ((this.bid.own && bid === null) || (this.offer.own && offer === null)) return null;
    return {
      preset: this.preset,
      paused: stored.paused,
      bid_limit_micro_per_kwh: bid,
      offer_limit_micro_per_kwh: offer,
      battery_reserve_percent: this.reserve,
      follows_battery_plan: this.follows,
    };
  }

  /** Whether the settings are others than those stored. */
  changed(stored: Autopilot): boolean {
    const now = this.settings(stored);
    return now === null || keyOf(now) !== keyOf(stored);
  }
}

/** What tells settings apart. */
export function keyOf(it: Settings): string {
  return [it.preset, it.paused, it.bid_limit_micro_per_kwh, it.offer_limit_micro_per_kwh, it.battery_reserve_percent, it.follows_battery_plan].join(' ');
}
