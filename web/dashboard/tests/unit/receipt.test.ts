import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isEndpoint, Node, selector } from '../../src/receipt/chain';
import { leafOf, rootOf } from '../../src/receipt/commitment';
import { InvalidFile, parseReceipt, sumOf } from '../../src/receipt/document';
import { STEPS, verify, type Verdict } from '../../src/receipt/verify';
import { bytesOf, hexOf, keccak, Words } from '../../src/receipt/words';

// @ts-expect-error: a script without types
import { Answers } from '../mock/answers.mjs';
// @ts-expect-error: a script without types
import { receiptOf } from '../mock/receipts.mjs';

// The bytes that the Rust side makes and checks: see crates/receipt/tests/vectors.rs.
const FILE = new URL('../../../../crates/receipt/tests/vectors/receipts.json', import.meta.url);
const VECTORS = JSON.parse(readFileSync(FILE, 'utf8')) as { name: string; receipt: string; root: string }[];
const busy = VECTORS.find((vector) => vector.name === 'every figure at work')!;

/** A node that keeps one root for every batch. */
function node(root: string, answers: Record<string, unknown> = {}): Node {
  const receipt = parseReceipt(busy.receipt);
  const fetcher = async (_: unknown, init?: RequestInit): Promise<Response> => {
    const { method, params } = JSON.parse(String(init?.body)) as { method: string; params: [{ data: string }] };
    const name = method === 'eth_call' ? params[0].data.slice(0, 10) : method;
    const known: Record<string, unknown> = {
      eth_chainId: `0x${receipt.chain_id.toString(16)}`,
      eth_getCode: '0x6080',
      [selector('settledRoot(bytes32)')]: root,
      [selector('verifyReceipt(bytes32,bytes32,bytes32[])')]: hexOf(new Words().signed(1).bytes),
      ...answers,
    };
    const result = known[name];
    const body = result === null ? { error: { message: 'execution reverted' } } : { result };
    return new Response(JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }));
  };
  return new Node('http://node', fetcher as typeof fetch);
}

const outcome = ({ steps, valid }: Verdict): unknown => {
  const bad = steps.find((step) => step.state === 'bad');
  return { valid, step: bad?.name, fault: bad?.fault };
};

describe('words', () => {
  it('hash as Keccak, not as SHA-3', () => {
    expect(hexOf(keccak(new Uint8Array()))).toBe('0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
  });
  it('carry negative numbers in two’s complement', () => {
    expect(hexOf(new Words().signed(-2n).bytes)).toBe(`0x${'f'.repeat(63)}e`);
  });
  it('are read from lower-case hex of whole bytes alone', () => {
    expect([bytesOf('0xAB'), bytesOf('0xabc'), bytesOf('ab'), bytesOf('0x')]).toEqual([null, null, null, new Uint8Array()]);
  });
  it('refuse what has another length', () => {
    expect(() => new Words().word(new Uint8Array(31))).toThrow(RangeError);
    expect(() => new Words().address(new Uint8Array(32))).toThrow(RangeError);
  });
});

describe('receipts made by the settlement service', () => {
  it.each(VECTORS)('lead to their root: $name', ({ receipt: text, root }) => {
    const receipt = parseReceipt(text);
    expect(hexOf(leafOf(receipt))).toBe(receipt.leaf);
    expect(hexOf(rootOf(leafOf(receipt), receipt.proof))).toBe(root);
    expect(sumOf(receipt.statement)).toBe(receipt.statement['net_nano']);
  });
  it('are valid where the chain keeps the root, step by step', async () => {
    const verdict = await verify(busy.receipt, node(busy.root));
    expect(verdict.steps.map((step) => [step.name, step.state])).toEqual(STEPS.map((name) => [name, 'good']));
    expect(verdict.valid).toBe(true);
  });
  it('must be of the account and slot that was asked for', async () => {
    const { community_id, account_id, slot_start } = parseReceipt(busy.receipt);
    const wanted = { community_id, account_id, slot_start };
    expect((await verify(busy.receipt, node(busy.root), wanted)).valid).toBe(true);
    for (const other of [{ community_id: 'elsewhere' }, { account_id: 'm-999' }, { slot_start: '2026-01-01T13:00:00Z' }]) {
      expect(outcome(await verify(busy.receipt, node(busy.root), { ...wanted, ...other }))).toEqual({ valid: false, step: 'file', fault: 'other' });
    }
  });
  it('may be written with white space', async () => {
    const pretty = JSON.stringify(JSON.parse(busy.receipt), null, 2);
    expect((await verify(pretty, node(busy.root))).valid).toBe(true);
  });
});

describe('receipts of the mock', () => {
  it('are made as the settlement service makes them', () => {
    const answers = new Answers();
    const [start, end] = [answers.time(7), answers.time(8)];
    for (const index of [0, 4, 15]) {
      const { text, root } = receiptOf(7, index, start, end, 0);
      const receipt = parseReceipt(text);
      expect(hexOf(leafOf(receipt))).toBe(receipt.leaf);
      expect(hexOf(rootOf(leafOf(receipt), receipt.proof))).toBe(root);
    }
  });
});

describe('a receipt with one byte changed', () => {
  it('is refused, whichever byte it is', async () => {
    const text = busy.receipt;
    let refused = 0;
    for (let at = 0; at < text.length; at += 1) {
      for (const flip of [1, 0x20]) {
        const other = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ flip) + text.slice(at + 1);
        const { valid } = await verify(other, node(busy.root));
        expect(valid, `byte ${at} of ${other.slice(Math.max(0, at - 30), at + 10)}`).toBe(false);
        refused += 1;
      }
    }
    expect(refused).toBe(2 * text.length);
  }, 60_000);
  it('names the field that is not written as receipts write it', () => {
    const at = (from: string, to: string): (() => void) => () => void parseReceipt(busy.receipt.replace(from, to));
    expect(at('"import_wh":1210', '"import_wh":"1210"')).toThrow(new InvalidFile('field', 'statement.import_wh'));
    expect(at('"import_wh":1210', '"import_wh":1.21e3')).toThrow(new InvalidFile('written', ''));
    expect(at('"version":2', '"version":9')).toThrow(new InvalidFile('version', 'version'));
    expect(at('"salt"', '"note":"paid","salt"')).toThrow(new InvalidFile('field', 'note'));
    expect(at('00Z"', '00.5Z"')).toThrow(InvalidFile);
    expect(at('{', '[')).toThrow(new InvalidFile('json', ''));
  });
  it('names what does not fit', async () => {
    const change = (from: string | RegExp, to: string): Promise<Verdict> => verify(busy.receipt.replace(from, to), node(busy.root));
    expect(outcome(await change('"import_wh":1210', '"import_wh":1211'))).toEqual({ valid: false, step: 'leaf', fault: 'leaf' });
    expect(outcome(await change('"-1912000"', '"-1911000"'))).toEqual({ valid: false, step: 'figures', fault: 'sum' });
    expect(outcome(await change('lindenhof', 'lindenhoe'))).toEqual({ valid: false, step: 'leaf', fault: 'batch' });
    expect(outcome(await change(/("proof":\["0x)./, '$10'))).toEqual({ valid: false, step: 'contract', fault: 'root' });
  });
});

describe('the chain', () => {
  const against = async (answers: Record<string, unknown>): Promise<unknown> => outcome(await verify(busy.receipt, node(busy.root, answers)));
  it('has the last word, and each refusal its name', async () => {
    expect(await against({ eth_chainId: '0x1' })).toEqual({ valid: false, step: 'node', fault: 'chain' });
    expect(await against({ eth_getCode: '0x' })).toEqual({ valid: false, step: 'node', fault: 'code' });
    expect(await against({ [selector('settledRoot(bytes32)')]: `0x${'0'.repeat(64)}` })).toEqual({ valid: false, step: 'contract', fault: 'unsettled' });
    expect(await against({ [selector('settledRoot(bytes32)')]: null })).toEqual({ valid: false, step: 'contract', fault: 'unsettled' });
    expect(await against({ [selector('verifyReceipt(bytes32,bytes32,bytes32[])')]: null })).toEqual({ valid: false, step: 'contract', fault: 'denied' });
  });
  it('leaves it open when the node does not answer', async () => {
    expect(await against({ eth_chainId: undefined })).toEqual({ valid: null, step: 'node', fault: 'unreachable' });
    const dead = new Node('http://node', async () => Promise.reject(new TypeError('connection refused')));
    expect(outcome(await verify(busy.receipt, dead))).toEqual({ valid: null, step: 'node', fault: 'unreachable' });
    expect((await verify(busy.receipt, null)).valid).toBeNull();
  });
  it('is asked at http addresses alone', () => {
    expect(['http://127.0.0.1:8545', 'https://node.example/key', 'ftp://node', 'node', ''].map(isEndpoint)).toEqual([true, true, false, false, false]);
  });
});
