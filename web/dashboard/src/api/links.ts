/** Linking an address of the member's own (EIP-4361), from which on its slots settle there. */
import { list, nullable, object, text, time } from './decode';
import { getJson, sendJson } from './http';
import { memberPath } from './paths';

export interface Link {
  address: string;
  kind: string;
  linked_at: string | null;
  /** A change under way; slots settle at the present address until it is done. */
  pending: { address: string; status: string; requested_at: string } | null;
  former_addresses: string[];
}
export const link = object<Link>({
  address: text,
  kind: text,
  linked_at: nullable(time),
  pending: nullable(object<{ address: string; status: string; requested_at: string }>({ address: text, status: text, requested_at: time })),
  former_addresses: list(text),
});

/** What the owner of an address signs, to the byte. */
export interface Challenge {
  message: string;
  expires_at: string;
}
export const challenge = object<Challenge>({ message: text, expires_at: time });

const path = (community: string, member: string): string => `${memberPath(community, member)}/link`;

export const linksApi = {
  show: (community: string, member: string) => getJson(path(community, member), link),
  challenge: (community: string, member: string, address: string) =>
    sendJson('POST', `${path(community, member)}/challenge`, challenge, { body: { address } }),
  link: (community: string, member: string, message: string, signature: string, key: string) =>
    sendJson('POST', path(community, member), link, { body: { message, signature }, idempotencyKey: key }),
};
