/** Why the server did not do what was asked: a problem document (RFC 9457), or what stands for one. */

/** `unreachable`: no answer. `missing`: the thing does not exist. `refused`: any other problem the server named. */
export type FailureKind = 'unreachable' | 'missing' | 'refused';

/** The server did not answer with what was asked for. */
export class ApiError extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
    /** The problem's name in the catalogue, such as `invalid-limit`; empty if the answer names none. */
    readonly code = '',
    /** What is wrong with this request, in the server's words. */
    readonly detail = message,
    /** After how many seconds to try again; null if the server does not say. */
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** Reads the problem of a failed answer. Its own words become the message. */
export async function problemOf(response: Response): Promise<ApiError> {
  const kind: FailureKind = response.status === 404 ? 'missing' : response.status >= 502 ? 'unreachable' : 'refused';
  const after = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
  const retryAfterS = Number.isNaN(after) ? null : after;
  try {
    const problem = (await response.json()) as { type?: unknown; title?: unknown; detail?: unknown };
    const words = [problem.title, problem.detail].filter((part): part is string => typeof part === 'string' && part !== '');
    const code = typeof problem.type === 'string' ? (problem.type.split('/').at(-1) ?? '') : '';
    if (words.length > 0) return new ApiError(kind, words.join(': '), code, words.at(-1), retryAfterS);
  } catch {
    // Not a problem document: the status line has to do.
  }
  return new ApiError(kind, `${response.status} ${response.statusText}`.trim());
}
