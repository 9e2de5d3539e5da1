/** Times for people: in their own time zone, with seconds only where slots are shorter than a minute. */

const formats = new Map<string, Intl.DateTimeFormat>();

function format(lang: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = lang + JSON.stringify(options);
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat(lang === 'de' ? 'de-DE' : 'en-GB', options);
  formats.set(key, made);
  return made;
}

/** `10:45`, or `10:45:30`. */
export function clockTime(time: string | number, lang: string, seconds: boolean): string {
  const options: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' };
  return format(lang, seconds ? { ...options, second: '2-digit' } : options).format(new Date(time));
}

/** `Sun 22 Nov`. */
export function day(time: string | number, lang: string): string {
  return format(lang, { weekday: 'short', day: 'numeric', month: 'short' }).format(new Date(time));
}

/** `10:45–11:00` of a slot. */
export function slotTimes(start: string, end: string, lang: string): string {
  const seconds = Date.parse(end) - Date.parse(start) < 60_000 || Date.parse(start) % 60_000 !== 0;
  return `${clockTime(start, lang, seconds)}\u2013${clockTime(end, lang, seconds)}`;
}

/** {@link slotTimes}, with the day before it where that is not the day of `nowMs`. */
export function slotName(start: string, end: string, nowMs: number, lang: string): string {
  const times = slotTimes(start, end, lang);
  return day(start, lang) === day(nowMs, lang) ? times : `${day(start, lang)}, ${times}`;
}

/** `10:45` of a slot's start, with the day before it where that is not the day of `nowMs`. */
export function startName(start: string, nowMs: number, lang: string, seconds: boolean): string {
  const time = clockTime(start, lang, seconds);
  return day(start, lang) === day(nowMs, lang) ? time : `${day(start, lang)}, ${time}`;
}

/** A span as `0:07`, `12:05` or `3:04:09`; never below zero. */
export function countdown(ms: number): string {
  const total = Math.max(0, Math.ceil(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(total % 60)}` : `${minutes}:${two(total % 60)}`;
}

/** The start of the slot that holds `nowMs`: slots are aligned to the UTC hour. */
export function slotStartAt(nowMs: number, slotLengthS: number): number {
  const length = slotLengthS * 1000;
  return Math.floor(nowMs / length) * length;
}

/** A time in the form of the API, whole seconds in UTC. */
export function apiTime(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
