/** How this page asks the server, at its own origin. Every answer is decoded; every failure says what happened. */
import { access } from '../app/access.svelte';
import type { Decoder } from './decode';
import { ApiError, problemOf } from './problem';

/** The longest that a request may take, in milliseconds. */
const TIMEOUT_MS = 10_000;
/** Answers kept to be confirmed by their tag instead of sent again. */
const MOST_TAGGED = 64;

/** The `Date` header of the last answer less the browser's clock, in milliseconds; 0 until known. */
export let serverClockOffsetMs = 0;

/** The newest answer of an address and its tag. */
const tagged = new Map<string, { tag: string; body: unknown }>();

function noteServerTime(response: Response): void {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return;
  // The header has whole seconds: half a second more is the best guess, small differences are noise.
  const offset = date + 500 - Date.now();
  serverClockOffsetMs = Math.abs(offset) < 1500 ? 0 : offset;
}

async function ask(path: string, init: RequestInit, headers: Record<string, string>, fetcher: typeof fetch): Promise<Response> {
  if (access.token !== null) headers['authorization'] = `Bearer ${access.token}`;
  let response: Response;
  try {
    response = await fetcher(path, { ...init, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new ApiError('unreachable', error instanceof Error ? error.message : String(error));
  }
  noteServerTime(response);
  if (!response.ok && response.status !== 304) throw await problemOf(response);
  return response;
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    throw new ApiError('unreachable', 'the answer ended early or is not JSON');
  }
}

/** Fetches `path` and decodes the answer; what has not changed since the last time is not sent again. */
export async function getJson<T>(path: string, decoder: Decoder<T>, fetcher: typeof fetch = fetch): Promise<T> {
  const known = tagged.get(path);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (known) headers['if-none-match'] = known.tag;
  const response = await ask(path, {}, headers, fetcher);
  const body = response.status === 304 && known ? known.body : await jsonOf(response);
  const tag = response.headers.get('etag');
  tagged.delete(path);
  if (tag !== null) tagged.set(path, { tag, body });
  const oldest = tagged.keys().next().value;
  if (tagged.size > MOST_TAGGED && oldest !== undefined) tagged.delete(oldest);
  return decoder(body, '$');
}

/** The text of an answer, to the byte: for files that are checked or kept as they are. */
export async function getText(path: string, fetcher: typeof fetch = fetch): Promise<string> {
  const response = await ask(path, {}, { accept: 'application/json' }, fetcher);
  return response.text();
}

/** What is sent along with a change. */
export interface SendOptions {
  body?: unknown;
  /** An id made before the first try, so that trying again is harmless. */
  idempotencyKey?: string;
}

/** Sends a change and decodes the answer. */
export async function sendJson<T>(
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  decoder: Decoder<T>,
  options: SendOptions = {},
  fetcher: typeof fetch = fetch,
): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  const init: RequestInit = { method };
  if (options.body !== undefined) {
    headers['content-type'] = 'application/json';
    init.body = JSON.stringify(options.body);
  }
  if (options.idempotencyKey !== undefined) headers['idempotency-key'] = options.idempotencyKey;
  return decoder(await jsonOf(await ask(path, init, headers, fetcher)), '$');
}
