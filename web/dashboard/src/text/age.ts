/** How long ago something was, in words. */
import type { Dictionary } from './en';

export function age(seconds: number, words: Dictionary): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 1) return words.age.now;
  if (whole < 90) return words.age.seconds(whole);
  if (whole < 5400) return words.age.minutes(Math.round(whole / 60));
  if (whole < 129_600) return words.age.hours(Math.round(whole / 3600));
  return words.age.days(Math.round(whole / 86_400));
}
