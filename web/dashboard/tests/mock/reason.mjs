// Why the mock's autopilot orders: in words, and as a code with values.

/** A reason by forecast: `likely`, `low` and `high` are of what is left over, or lacking. */
export function because(preset, offer, { likely, low, high }, energy, limit) {
  const share = preset === 'hands-off' ? Math.round((energy * 100) / Math.max(1, likely)) : null;
  const words = { greenest: `${energy} Wh`, 'hands-off': `${share} % of it, ${energy} Wh`, cheapest: `the ${energy} Wh that are all but certain` };
  const cents = `${(Number(limit) / 10_000).toFixed(1)} ct`;
  return {
    reason: `Forecast for 12:00:00 UTC: ${likely} Wh ${offer ? 'left over' : 'lacking'} (${low} to ${high} Wh in eight of ten cases); ${preset} ${offer ? 'offers' : 'bids for'} ${words[preset]}, ${offer ? 'from' : 'at up to'} ${cents}.`,
    reason_code: 'forecast',
    reason_values: {
      energy_wh: energy, limit_micro_per_kwh: String(limit), from_limit_micro_per_kwh: null, likely_wh: likely, low_wh: low, high_wh: high, battery_wh: 0, preset, share_percent: share,
    },
  };
}
