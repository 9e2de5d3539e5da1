// A node of the mock's chain, on a port of its own. It keeps the roots of the slots that the mock has settled.
import { createServer } from 'node:http';
import { CHAIN_ID, CONTRACT, batchId, receiptOf } from './receipts.mjs';

const word = (hex) => `0x${hex.padStart(64, '0')}`;

class Chain {
  constructor(answers) {
    this.answers = answers;
  }

  /** The root of a batch that is final, or a zero. */
  root(id) {
    const a = this.answers;
    const found = a.settled().find((k) => batchId(a.time(k), a.summary(k).revision) === id);
    return found === undefined ? word('0') : receiptOf(found, 0, a.time(found), a.time(found + 1), a.summary(found).revision).root;
  }

  answer(method, params) {
    if (method === 'eth_chainId') return `0x${CHAIN_ID.toString(16)}`;
    if (method === 'eth_getCode') return params[0] === CONTRACT ? '0x6080' : '0x';
    if (params[0].to !== CONTRACT) return '0x';
    const root = this.root(params[0].data.slice(10, 74));
    // One argument asks for the root; more ask whether a proof leads there, which the page has found out by then.
    return params[0].data.length === 74 ? root : word(root === word('0') ? '0' : '1');
  }
}

/** Starts a node that any page may ask. Give it `answers` before it is asked. */
export async function startChain() {
  const chain = new Chain(null);
  const server = createServer((request, response) => {
    const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'content-type', 'content-type': 'application/json' };
    if (request.method === 'OPTIONS') return void response.writeHead(204, headers).end();
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      const { id, method, params } = JSON.parse(body);
      response.writeHead(200, headers).end(JSON.stringify({ jsonrpc: '2.0', id, result: chain.answer(method, params) }));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    chain,
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
  };
}
