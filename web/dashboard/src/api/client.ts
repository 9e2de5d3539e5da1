/** Asks the server, at the page's own origin. Every answer is decoded; every failure says what happened. */
import { community, communityList, memberList, stack } from './community';
import type { Decoder } from './decode';
import { member, statementPage } from './member';
import { slotPage } from './slot';
import { slotDetail } from './slotDetail';

/** The longest that a request may take, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** `unreachable`: no answer. `missing`: the thing does not exist. `refused`: any other problem the server named. */
export type FailureKind = 'unreachable' | 'missing' | 'refused';

/** The server did not answer with what was asked for. */
export class ApiError extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** The `Date` header of the last answer less the browser's clock, in milliseconds; 0 until known. */
export let serverClockOffsetMs = 0;

function noteServerTime(response: Response): void {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return;
  // The header has whole seconds: half a second more is the best guess, small differences are noise.
  const offset = date + 500 - Date.now();
  serverClockOffsetMs = Math.abs(offset) < 1500 ? 0 : offset;
}

/** Fetches `path` and decodes the answer. A problem document's own words become the message. */
export async function getJson<T>(path: string, decoder: Decoder<T>, fetcher: typeof fetch = fetch): Promise<T> {
  let response: Response;
  try {
    response = await fetcher(path, { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new ApiError('unreachable', error instanceof Error ? error.message : String(error));
  }
  noteServerTime(response);
  if (!response.ok) throw await problemOf(response);
  let body: unknown;
  try {
    body = await response.json();
  } catch {
    throw new ApiError('unreachable', 'the answer ended early or is not JSON');
  }
  return decoder(body, '$');
}

async function problemOf(response: Response): Promise<ApiError> {
  const kind: FailureKind =
    response.status === 404 ? 'missing' : response.status >= 502 ? 'unreachable' : 'refused';
  try {
    const problem = (await response.json()) as { title?: unknown; detail?: unknown };
    const words = [problem.title, problem.detail].filter((part) => typeof part === 'string' && part !== '');
    if (words.length > 0) return new ApiError(kind, words.join(': '));
  } catch {
    // Not a problem document: the status line has to do.
  }
  return new ApiError(kind, `${response.status} ${response.statusText}`.trim());
}

const ROOT = '/api/v1';
const at = (id: string): string => `${ROOT}/communities/${encodeURIComponent(id)}`;

function query(values: Record<string, string | null>): string {
  const pairs = Object.entries(values).filter((pair): pair is [string, string] => pair[1] !== null);
  return `?${new URLSearchParams(pairs).toString()}`;
}

export const api = {
  communities: () => getJson(`${ROOT}/communities`, communityList),
  community: (id: string) => getJson(at(id), community),
  members: (id: string) => getJson(`${at(id)}/members`, memberList),
  slots: (id: string, limit: number, before: string | null) =>
    getJson(`${at(id)}/slots${query({ limit: String(limit), before })}`, slotPage),
  slot: (id: string, start: string) => getJson(`${at(id)}/slots/${encodeURIComponent(start)}`, slotDetail),
  member: (id: string, memberId: string) =>
    getJson(`${at(id)}/members/${encodeURIComponent(memberId)}`, member),
  statements: (id: string, memberId: string, limit: number, before: string | null) =>
    getJson(
      `${at(id)}/members/${encodeURIComponent(memberId)}/statements${query({ limit: String(limit), before })}`,
      statementPage,
    ),
  stack: () => getJson(`${ROOT}/stack`, stack),
  /** Where the server streams what happens, as server-sent events. */
  liveUrl: (id: string) => `${at(id)}/live`,
};
