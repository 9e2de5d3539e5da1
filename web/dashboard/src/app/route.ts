/** Addresses within the page: the part after `#`. */

/** The parts of a member's pages; the first is what the member's own address shows. */
export const MEMBER_PARTS = ['overview', 'autopilot', 'market', 'devices', 'account'] as const;
export type MemberPart = (typeof MEMBER_PARTS)[number];

export type Route =
  | { view: 'community' }
  | { view: 'market' }
  | { view: 'devices' }
  | { view: 'check' }
  | { view: 'member'; memberId: string; part: MemberPart }
  | { view: 'receipt'; memberId: string; slotStart: string }
  | { view: 'slot'; slotStart: string }
  | { view: 'unknown' };

const SINGLE = ['market', 'devices', 'check'] as const;

/** Reads `#/`, `#/market`, `#/members/ID`, `#/members/ID/PART`, `#/members/ID/receipts/TIME`, `#/slots/TIME` and their like. */
export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#?\/?/, '').split('/');
  const [root, second, third, fourth] = parts;
  if (parts.length === 1) {
    if (root === '') return { view: 'community' };
    const view = SINGLE.find((name) => name === root);
    return view === undefined ? { view: 'unknown' } : { view };
  }
  const id = decoded(second ?? '');
  if (id === null || id === '') return { view: 'unknown' };
  if (root === 'slots' && parts.length === 2 && isTime(id)) return { view: 'slot', slotStart: id };
  if (root !== 'members') return { view: 'unknown' };
  if (parts.length === 2) return { view: 'member', memberId: id, part: 'overview' };
  const part = MEMBER_PARTS.find((name) => name === third && name !== 'overview');
  if (parts.length === 3 && part !== undefined) return { view: 'member', memberId: id, part };
  const slotStart = decoded(fourth ?? '');
  if (parts.length === 4 && third === 'receipts' && slotStart !== null && isTime(slotStart)) {
    return { view: 'receipt', memberId: id, slotStart };
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

const isTime = (text: string): boolean => !Number.isNaN(Date.parse(text));
/** Colons may stand in a fragment as they are, and read better. */
const timePart = (time: string): string => encodeURIComponent(time).replaceAll('%3A', ':');

export const memberHref = (memberId: string, part: MemberPart = 'overview'): string =>
  `#/members/${encodeURIComponent(memberId)}${part === 'overview' ? '' : `/${part}`}`;
export const receiptHref = (memberId: string, slotStart: string): string =>
  `${memberHref(memberId)}/receipts/${timePart(slotStart)}`;
export const slotHref = (slotStart: string): string => `#/slots/${timePart(slotStart)}`;
