// Serves dist/ and the mock's answers, under the same strict Content-Security-Policy as the real server.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Answers } from './answers.mjs';
import { startChain } from './chain.mjs';
import { Routes } from './routes.mjs';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json' };
const POLICY = "default-src 'self'; connect-src 'self' https: http://127.0.0.1:* http://localhost:*; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
const HEADERS = { 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff' };

/** Starts a mock on a port of `127.0.0.1` (0: any free one). `close()` also ends open streams. */
export async function startMock({ port = 0, ...options } = {}) {
  const chain = await startChain();
  const answers = new Answers({ ...options, rpcUrl: chain.url });
  chain.chain.answers = answers;
  const routes = new Routes(answers);
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    if (url.pathname.endsWith('/live')) return stream(request, response);
    if (url.pathname.startsWith('/api/')) return json(response, await routes.answer(request, url));
    return file(url.pathname, response);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    port: server.address().port,
    chainUrl: chain.url,
    close: async () => {
      await Promise.all([new Promise((resolve) => (server.close(resolve), server.closeAllConnections())), chain.close()]);
    },
  };
}

function json(response, { status, body, headers = {} }) {
  const kind = status < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { ...HEADERS, 'content-type': kind, 'cache-control': 'no-store', ...headers });
  response.end(status === 304 ? undefined : body);
}

function stream(request, response) {
  response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': hello\n\n');
  const timer = setInterval(() => {
    response.write(`event: reading\ndata: ${JSON.stringify({ kind: 'reading', community_id: 'lindenhof', slot_start: null })}\n\n`);
  }, 1000);
  request.on('close', () => clearInterval(timer));
}

function file(pathname, response) {
  const path = normalize(join(DIST, pathname === '/' ? 'index.html' : pathname));
  if (!path.startsWith(DIST + sep) || !existsSync(path) || !statSync(path).isFile()) {
    response.writeHead(404, HEADERS).end('not found');
    return;
  }
  response.writeHead(200, { ...HEADERS, 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' });
  createReadStream(path).pipe(response);
}
