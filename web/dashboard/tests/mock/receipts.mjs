// Receipts of the mock's slots, made from its statements as the settlement service makes them.
import { keccak_256 } from '@noble/hashes/sha3.js';
import { MEMBERS, slotOf } from './market.mjs';

export const CHAIN_ID = 31_337;
export const CONTRACT = '0x5fbdb2315678afecb367f032d93f642f64180aa3';
const COMMUNITY = 'lindenhof';
const FIGURES = ['import_wh', 'export_wh', 'production_wh', 'substituted', 'traded_bought_wh', 'traded_bought_nano', 'traded_sold_wh', 'traded_sold_nano', 'closing_bought_wh', 'closing_bought_nano', 'closing_sold_wh', 'closing_sold_nano', 'preferred_bought_wh', 'preferred_bought_nano', 'preferred_sold_wh', 'preferred_sold_nano', 'residual_import_wh', 'residual_export_wh', 'residual_nano', 'curtailed_wh', 'over_limit_wh', 'network_fee_nano', 'platform_fee_nano', 'net_nano', 'base_nano'];

const hash = (hex) => Buffer.from(keccak_256(Buffer.from(hex, 'hex'))).toString('hex');
const text = (value) => hash(Buffer.from(value).toString('hex'));
const word = (value) => BigInt.asUintN(256, BigInt(value)).toString(16).padStart(64, '0');
const seconds = (time) => Date.parse(time) / 1000;
const domain = (tag) => text(tag) + word(CHAIN_ID) + word(CONTRACT) + text(COMMUNITY);
const node = (a, b) => hash(a < b ? a + b : b + a);

export const batchId = (start, revision) => hash(domain('busbar/batch/v1') + word(seconds(start)) + word(revision));

function leaf(start, end, revision, index, row) {
  const words = FIGURES.map((key) => (key === 'production_wh' ? word(row[key] === null ? 0 : 1) + word(row[key] ?? 0) : word(row[key])));
  const salt = text(`salt ${start} ${index}`);
  return hash(hash(domain('busbar/statement/v2') + word(seconds(start)) + word(seconds(end)) + word(revision) + text(MEMBERS[index].member_id) + word(MEMBERS[index].chain_address) + words.join('') + salt));
}

/** All levels of the tree over a slot's statements, from the leaves up. An odd one moves up as it is. */
function levels(leaves) {
  const all = [leaves];
  while (all.at(-1).length > 1) {
    const below = all.at(-1);
    all.push(Array.from({ length: Math.ceil(below.length / 2) }, (_, n) => (2 * n + 1 < below.length ? node(below[2 * n], below[2 * n + 1]) : below[2 * n])));
  }
  return all;
}

/** A member's receipt of slot `k`, and the root that the chain keeps for its batch. */
export function receiptOf(k, index, start, end, revision) {
  const rows = slotOf(k).statements.slice(0, MEMBERS.length);
  const leaves = rows.map((row, n) => leaf(start, end, revision, n, row));
  const tree = levels(leaves);
  let at = index;
  const proof = tree.slice(0, -1).flatMap((level) => {
    const sibling = level[at ^ 1];
    at >>= 1;
    return sibling === undefined ? [] : [`0x${sibling}`];
  });
  const statement = Object.fromEntries(FIGURES.map((key) => [key, typeof rows[index][key] === 'bigint' ? String(rows[index][key]) : rows[index][key]]));
  const receipt = {
    version: 2, chain_id: CHAIN_ID, contract: CONTRACT, community_id: COMMUNITY, slot_start: start, slot_end: end, revision, batch_id: `0x${batchId(start, revision)}`, account_id: MEMBERS[index].member_id, chain_address: MEMBERS[index].chain_address,
    statement, salt: `0x${text(`salt ${start} ${index}`)}`, leaf: `0x${leaves[index]}`, proof,
  };
  return { text: JSON.stringify(receipt), root: `0x${tree.at(-1)[0]}` };
}
