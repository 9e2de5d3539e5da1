// The mock's links: a challenge is signed, and the address changes a moment later.
import { MEMBERS, chance } from './market.mjs';
import { Problem } from './problem.mjs';

/** How long a change is under way. */
const PENDING_MS = 4_000;

export class Links {
  constructor() {
    this.states = new Map();
    this.challenges = new Map();
  }

  show(index) {
    const state = this.states.get(index) ?? { address: MEMBERS[index].chain_address, kind: 'custodial', linked_at: null, pending: null, former_addresses: [] };
    if (state.pending !== null && Date.now() - Date.parse(state.pending.requested_at) > PENDING_MS) {
      Object.assign(state, { former_addresses: [state.address, ...state.former_addresses], address: state.pending.address, kind: 'linked', linked_at: new Date().toISOString(), pending: null });
    }
    this.states.set(index, state);
    return state;
  }

  challenge(index, body, host) {
    const address = String(body.address ?? '');
    if (!/^0x[0-9a-fA-F]{40}$/.test(address)) throw new Problem(400, 'invalid-request', 'The request is not valid', 'address must be 0x and 40 hex digits');
    if (MEMBERS.some((member) => member.chain_address === address.toLowerCase())) throw new Problem(409, 'address-in-use', 'The address is in use', 'another account settles at this address');
    const nonce = Math.floor(chance(index, Date.now()) * 2 ** 32).toString(36).padStart(8, '0');
    const now = new Date();
    const expires = new Date(now.getTime() + 600_000).toISOString();
    const message = `${host} wants you to sign in with your Ethereum account:\n${address}\n\nSettle the energy of ${MEMBERS[index].member_id} at this address.\n\nURI: http://${host}\nVersion: 1\nChain ID: 31337\nNonce: ${nonce}\nIssued At: ${now.toISOString()}\nExpiration Time: ${expires}`;
    this.challenges.set(message, address.toLowerCase());
    return { message, nonce, expires_at: expires };
  }

  /** Any signature counts here, but one of zeros: that is somebody else's. */
  link(index, body) {
    const address = this.challenges.get(body.message);
    if (address === undefined) throw new Problem(400, 'invalid-link', 'The link is not valid', 'the nonce is unknown or was used');
    if (/^0x0+$/.test(body.signature)) throw new Problem(400, 'invalid-link', 'The link is not valid', `the signature is not of ${address}`);
    this.challenges.delete(body.message);
    const state = this.show(index);
    state.pending = { link_id: 1, address, status: 'requested', requested_at: new Date().toISOString() };
    return state;
  }
}
