/** Asks a node of the chain, over JSON-RPC, what its contract keeps. The node is the member's choice. */
import { bytesOf, hexOf, keccak, Words, type Hash } from './words';

/** The longest that a question may take, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** `unreachable`: no answer. `refused`: the node, or the contract, refuses the question. */
export class ChainError extends Error {
  constructor(
    readonly kind: 'unreachable' | 'refused',
    message: string,
  ) {
    super(message);
    this.name = 'ChainError';
  }
}

/** The first four bytes of the hash of a function's signature. */
export function selector(signature: string): string {
  return hexOf(keccak(new TextEncoder().encode(signature)).slice(0, 4));
}

/** Whether a text can name a node: an http or https address. */
export function isEndpoint(text: string): boolean {
  try {
    return ['http:', 'https:'].includes(new URL(text).protocol);
  } catch {
    return false;
  }
}

export class Node {
  constructor(
    private readonly endpoint: string,
    // Bound: the browser's own refuses to be another object's method.
    private readonly fetcher: typeof fetch = (input, init) => fetch(input, init),
  ) {}

  async chainId(): Promise<bigint> {
    const answer = await this.ask('eth_chainId', []);
    if (!/^0x[0-9a-f]{1,16}$/i.test(answer)) throw new ChainError('unreachable', `no chain id: ${answer.slice(0, 40)}`);
    return BigInt(answer);
  }

  /** Whether there is a contract at an address. */
  async hasCode(address: string): Promise<boolean> {
    return (await this.ask('eth_getCode', [address, 'latest'])).length > 2;
  }

  /** The root that the contract keeps for a batch; null if it has settled none of this id, or is another contract. */
  async settledRoot(contract: string, batchId: Hash): Promise<Hash | null> {
    const root = await this.call(contract, selector('settledRoot(bytes32)') + hexOf(batchId).slice(2));
    return root === null || root.length !== 32 || root.every((byte) => byte === 0) ? null : root;
  }

  /** What the contract itself says of a leaf and its proof. */
  async verifyReceipt(contract: string, batchId: Hash, leaf: Hash, proof: readonly Hash[]): Promise<boolean> {
    const words = new Words().word(batchId).word(leaf).signed(96).signed(proof.length);
    for (const sibling of proof) words.word(sibling);
    const answer = await this.call(contract, selector('verifyReceipt(bytes32,bytes32,bytes32[])') + hexOf(words.bytes).slice(2));
    return answer !== null && answer.length === 32 && answer.every((byte, index) => byte === (index === 31 ? 1 : 0));
  }

  /** Calls a view; null if the contract refuses. */
  private async call(to: string, data: string): Promise<Uint8Array | null> {
    try {
      return bytesOf((await this.ask('eth_call', [{ to, data }, 'latest'])).toLowerCase());
    } catch (error) {
      if (error instanceof ChainError && error.kind === 'refused') return null;
      throw error;
    }
  }

  private async ask(method: string, params: unknown[]): Promise<string> {
    let body: { result?: unknown; error?: { message?: unknown } };
    try {
      const response = await this.fetcher(this.endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      body = (await response.json()) as typeof body;
    } catch (error) {
      throw new ChainError('unreachable', error instanceof Error ? error.message : String(error));
    }
    if (body?.error) throw new ChainError('refused', String(body.error.message ?? 'refused'));
    if (typeof body?.result !== 'string') throw new ChainError('unreachable', `no answer to ${method}`);
    return body.result;
  }
}
