/** Checks a receipt step by step: from its figures to the leaf, to the root, to the chain. */
import { ChainError, Node } from './chain';
import { batchId, leafOf, rootOf } from './commitment';
import { InvalidFile, parseReceipt, sumOf, type Receipt } from './document';
import { bytesOf, hexOf, type Hash } from './words';

/** Whose receipt of which slot it must be. */
export interface Wanted {
  community_id: string;
  account_id: string;
  slot_start: string;
}

export const STEPS = ['file', 'figures', 'leaf', 'root', 'node', 'contract'] as const;
export type StepName = (typeof STEPS)[number];

/** Why a step failed, in a word that the dictionaries explain. */
export type Fault =
  | 'json' | 'version' | 'field' | 'written' | 'other'
  | 'sum'
  | 'batch' | 'leaf'
  | 'unreachable' | 'chain' | 'code'
  | 'unsettled' | 'root' | 'denied';

export interface Step {
  name: StepName;
  /** `open`: not reached, because an earlier step failed. */
  state: 'good' | 'bad' | 'open';
  /** What was found: a hash, a sum, the chain's id. */
  found: string;
  fault: Fault | null;
  /** What was expected instead, or which field it is about. */
  about: string;
}

export interface Verdict {
  steps: Step[];
  /** Null if a step is open only because nobody answered: then nothing is known. */
  valid: boolean | null;
  receipt: Receipt | null;
}

class Failed extends Error {
  constructor(
    readonly fault: Fault,
    readonly about = '',
    readonly found = '',
  ) {
    super(fault);
  }
}

/** What is left to ask of the chain. */
interface Claim {
  receipt: Receipt;
  batch: Hash;
  leaf: Hash;
  root: Hash;
}

/**
 * Checks a receipt's text. `node` null leaves the chain out: then the verdict is open at best. A valid
 * receipt of another account or slot than the `wanted` one is refused too.
 */
export async function verify(text: string, node: Node | null, wanted: Wanted | null = null): Promise<Verdict> {
  const steps: Step[] = [];
  let receipt: Receipt | null = null;
  const done = (name: StepName, found: string): void => void steps.push({ name, state: 'good', found, fault: null, about: '' });
  let running: StepName = 'file';
  try {
    receipt = parseReceipt(text);
    if (wanted !== null) mustBe(receipt, wanted);
    done('file', receipt.account_id);
    running = 'figures';
    done('figures', summed(receipt).toString());
    running = 'leaf';
    const [batch, leaf] = hashed(receipt);
    done('leaf', hexOf(leaf));
    running = 'root';
    const root = rootOf(leaf, receipt.proof);
    done('root', hexOf(root));
    if (node !== null) {
      running = 'node';
      done('node', await served(receipt, node));
      running = 'contract';
      done('contract', await kept({ receipt, batch, leaf, root }, node));
    }
  } catch (error) {
    steps.push(failure(running, error));
  }
  const last = steps.at(-1);
  const valid = last?.state === 'good' ? (node === null ? null : true) : last?.fault === 'unreachable' ? null : false;
  const open = STEPS.slice(steps.length).map((name): Step => ({ name, state: 'open', found: '', fault: null, about: '' }));
  return { steps: [...steps, ...open], valid, receipt };
}

function failure(name: StepName, error: unknown): Step {
  const bad = (fault: Fault, about: string, found = ''): Step => ({ name, state: 'bad', found, fault, about });
  if (error instanceof Failed) return bad(error.fault, error.about, error.found);
  if (error instanceof InvalidFile) return bad(error.reason, error.field);
  if (error instanceof ChainError) return bad('unreachable', error.message);
  throw error;
}

function mustBe(receipt: Receipt, wanted: Wanted): void {
  const sameSlot = Date.parse(receipt.slot_start) === Date.parse(wanted.slot_start);
  const same = sameSlot && receipt.community_id === wanted.community_id && receipt.account_id === wanted.account_id;
  if (!same) throw new Failed('other', `${receipt.community_id}, ${receipt.account_id}, ${receipt.slot_start}`);
}

function summed(receipt: Receipt): bigint {
  const sum = sumOf(receipt.statement);
  const net = receipt.statement['net_nano'];
  if (sum !== net) throw new Failed('sum', String(net), String(sum));
  return sum;
}

function hashed(receipt: Receipt): [Hash, Hash] {
  const batch = batchId(receipt);
  if (hexOf(batch) !== receipt.batch_id) throw new Failed('batch', receipt.batch_id, hexOf(batch));
  const leaf = leafOf(receipt);
  if (hexOf(leaf) !== receipt.leaf) throw new Failed('leaf', receipt.leaf, hexOf(leaf));
  return [batch, leaf];
}

async function served(receipt: Receipt, node: Node): Promise<string> {
  const chain = await node.chainId();
  if (chain !== BigInt(receipt.chain_id)) throw new Failed('chain', String(receipt.chain_id), String(chain));
  if (!(await node.hasCode(receipt.contract))) throw new Failed('code', receipt.contract);
  return String(chain);
}

async function kept({ receipt, batch, leaf, root }: Claim, node: Node): Promise<string> {
  const settled = await node.settledRoot(receipt.contract, batch);
  if (settled === null) throw new Failed('unsettled', hexOf(batch));
  if (hexOf(settled) !== hexOf(root)) throw new Failed('root', hexOf(root), hexOf(settled));
  const proof = receipt.proof.flatMap((sibling) => bytesOf(sibling) ?? []);
  if (!(await node.verifyReceipt(receipt.contract, batch, leaf, proof))) throw new Failed('denied');
  return hexOf(settled);
}
