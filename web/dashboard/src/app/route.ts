/** Addresses within the page: the part after `#`. */

export type Route =
  | { view: 'community' }
  | { view: 'member'; memberId: string }
  | { view: 'slot'; slotStart: string }
  | { view: 'unknown' };

/** Reads `#/`, `#/members/ID` and `#/slots/TIME`. */
export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#?\/?/, '').split('/');
  if (parts.length === 1 && parts[0] === '') return { view: 'community' };
  const id = decoded(parts[1] ?? '');
  if (parts.length === 2 && id !== null && id !== '') {
    if (parts[0] === 'members') return { view: 'member', memberId: id };
    if (parts[0] === 'slots' && !Number.isNaN(Date.parse(id))) return { view: 'slot', slotStart: id };
  }
  return { view: 'unknown' };
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

export const memberHref = (memberId: string): string => `#/members/${encodeURIComponent(memberId)}`;
/** Colons may stand in a fragment as they are, and read better. */
export const slotHref = (slotStart: string): string => `#/slots/${encodeURIComponent(slotStart).replaceAll('%3A', ':')}`;
