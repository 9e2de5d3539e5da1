/** What a receipt must hash to: the batch's id, the statement's leaf, and the root that its proof leads to. */
import { STATEMENT_FIELDS, type Receipt } from './document';
import { bytesOf, keccak, Words, type Hash } from './words';

const BATCH = 'busbar/batch/v1';
const STATEMENT = 'busbar/statement/v2';

/** Bytes that {@link parseReceipt} has found well written. */
function known(hex: string): Uint8Array {
  const bytes = bytesOf(hex);
  if (bytes === null) throw new RangeError(`not hex: ${hex}`);
  return bytes;
}

const seconds = (time: string): bigint => BigInt(Date.parse(time)) / 1000n;

/** Both hashes start with where and for whom they hold, so that neither can be used elsewhere. */
function domain(tag: string, receipt: Receipt): Words {
  return new Words().text(tag).signed(receipt.chain_id).address(known(receipt.contract)).text(receipt.community_id);
}

/** The id of the batch that settles the slot at the revision. */
export function batchId(receipt: Receipt): Hash {
  const words = domain(BATCH, receipt).signed(seconds(receipt.slot_start)).signed(receipt.revision);
  return keccak(words.bytes);
}

/** The leaf of the statement: every figure in a word of its own, and the salt; hashed twice. */
export function leafOf(receipt: Receipt): Hash {
  const words = domain(STATEMENT, receipt)
    .signed(seconds(receipt.slot_start))
    .signed(seconds(receipt.slot_end))
    .signed(receipt.revision)
    .text(receipt.account_id)
    .address(known(receipt.chain_address));
  for (const [name, kind] of STATEMENT_FIELDS) {
    const value = receipt.statement[name] ?? null;
    // Not known is another statement than zero.
    if (kind === 'wh-or-null') words.signed(value === null ? 0 : 1);
    words.signed(value === null ? 0 : BigInt(value));
  }
  return keccak(keccak(words.word(known(receipt.salt)).bytes));
}

/** The root that a proof leads to: at each step the smaller of the two hashes comes first. */
export function rootOf(leaf: Hash, proof: readonly string[]): Hash {
  return proof.map(known).reduce((at, sibling) => {
    const pair = new Uint8Array(64);
    const first = comesFirst(at, sibling);
    pair.set(first ? at : sibling, 0);
    pair.set(first ? sibling : at, 32);
    return keccak(pair);
  }, leaf);
}

function comesFirst(a: Uint8Array, b: Uint8Array): boolean {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 || (a[at] ?? 0) < (b[at] ?? 0);
}
