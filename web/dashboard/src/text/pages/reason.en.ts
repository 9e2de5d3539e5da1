/** Why the autopilot placed an order, in English. */
export const reason = {
  offer: {
    forecast: (likely: string, low: string, high: string) => `Forecast: ${likely} left over (${low} to ${high} in eight of ten cases)`,
    trades: {
      greenest: (e: string) => `greenest offers ${e}`,
      'hands-off': (e: string, share: string) => `hands-off offers ${share} of it, ${e}`,
      cheapest: (e: string) => `cheapest offers the ${e} that are all but certain`,
    } as Record<string, (e: string, share: string) => string>,
    limit: (p: string) => `from ${p}`,
    moved: (e: string, from: string, to: string) => `Gate closure is nearer and nobody has taken all of your ${e} at ${from}; now from ${to}.`,
  },
  bid: {
    forecast: (likely: string, low: string, high: string) => `Forecast: ${likely} lacking (${low} to ${high} in eight of ten cases)`,
    trades: {
      greenest: (e: string) => `greenest bids for ${e}`,
      'hands-off': (e: string, share: string) => `hands-off bids for ${share} of it, ${e}`,
      cheapest: (e: string) => `cheapest bids for the ${e} that are all but certain`,
    } as Record<string, (e: string, share: string) => string>,
    limit: (p: string) => `at up to ${p}`,
    moved: (e: string, from: string, to: string) => `Gate closure is nearer and nobody has sold you all of your ${e} at ${from}; now at up to ${to}.`,
  },
  fromBattery: (e: string) => `, with ${e} from the battery`,
  intoBattery: (e: string) => `, with ${e} into the battery`,
  none: { paused: 'The autopilot is paused.', noForecast: 'There is no forecast yet: it is made once the site’s meter has been read over a slot.', nothing: 'No slot is expected to have anything to trade.' },
};
