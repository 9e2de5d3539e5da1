/** A failed request in plain words, in the reader's language, with what the server said of it. */
import { ApiError } from '../api/problem';
import type { Dictionary } from './en';

export interface FailureWords {
  /** What went wrong and what to do, in the reader's language. */
  title: string;
  /** The server's own words, in English; empty if they add nothing. */
  detail: string;
}

export function failureWords(error: unknown, words: Dictionary): FailureWords {
  if (!(error instanceof ApiError)) return { title: words.failure.other, detail: String(error) };
  const again = error.retryAfterS === null ? '' : ` ${words.failure.again(error.retryAfterS)}`;
  // What the market refuses has its own problem types, named as its refusals are.
  const refusal = words.market.refusal[error.code.replaceAll('-', '_')];
  const known = words.problem[error.code] ?? (refusal === undefined ? undefined : `${words.market.refusedTitle}. ${refusal}`);
  if (known !== undefined) return { title: known + again, detail: error.detail };
  if (error.kind === 'unreachable') return { title: words.failure.unreachable + again, detail: '' };
  return { title: words.failure.other + again, detail: error.message };
}
