/** The addresses of the API. */

export const ROOT = '/api/v1';

export const communityPath = (id: string): string => `${ROOT}/communities/${encodeURIComponent(id)}`;
export const memberPath = (id: string, memberId: string): string =>
  `${communityPath(id)}/members/${encodeURIComponent(memberId)}`;
export const sitePath = (id: string, memberId: string, siteId: string): string =>
  `${memberPath(id, memberId)}/sites/${encodeURIComponent(siteId)}`;

/** A query of what is given; null is left out. */
export function query(values: Record<string, string | null>): string {
  const pairs = Object.entries(values).filter((pair): pair is [string, string] => pair[1] !== null);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}
