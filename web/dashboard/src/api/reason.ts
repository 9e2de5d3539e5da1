/** Why the autopilot placed an order: in words (English), and as a code with values for other languages. */
import { decimal, integer, nullable, object, text } from './decode';

/** The values of a reason; those that its code does not have are null. */
export interface ReasonValues {
  energy_wh: number;
  limit_micro_per_kwh: bigint | null;
  from_limit_micro_per_kwh: bigint | null;
  likely_wh: number | null;
  low_wh: number | null;
  high_wh: number | null;
  /** Positive comes from the battery, negative goes into it. */
  battery_wh: number | null;
  preset: string | null;
  share_percent: number | null;
}

/** What has a reason. */
export interface Reasoned {
  side: string;
  /** Empty for an order placed by hand. */
  reason: string;
  reason_code: string | null;
  reason_values: ReasonValues | null;
}

export const reasoned = {
  side: text,
  reason: text,
  reason_code: nullable(text),
  reason_values: nullable(
    object<ReasonValues>({
      energy_wh: integer,
      limit_micro_per_kwh: nullable(decimal),
      from_limit_micro_per_kwh: nullable(decimal),
      likely_wh: nullable(integer),
      low_wh: nullable(integer),
      high_wh: nullable(integer),
      battery_wh: nullable(integer),
      preset: nullable(text),
      share_percent: nullable(integer),
    }),
  ),
};
