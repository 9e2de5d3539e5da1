// Serves dist/ and the mock's answers, under the same strict Content-Security-Policy as the real server.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Answers } from './answers.mjs';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json' };
const HEADERS = { 'content-security-policy': "default-src 'self'; frame-ancestors 'none'", 'x-content-type-options': 'nosniff' };

/** Starts a mock on a port of `127.0.0.1` (0: any free one). `close()` also ends open streams. */
export async function startMock({ port = 0, ...options } = {}) {
  const answers = new Answers(options);
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://mock');
    if (url.pathname.startsWith('/api/')) return api(answers, url, request, response);
    return file(url.pathname, response);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    port: server.address().port,
    close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
  };
}

function api(answers, url, request, response) {
  const path = url.pathname.split('/').slice(3).map(decodeURIComponent);
  const [root, community, kind, id, sub] = path;
  const limit = Number(url.searchParams.get('limit') ?? 50);
  const before = url.searchParams.get('before');
  if (root === 'stack') return json(response, answers.stack());
  if (root !== 'communities') return json(response, null);
  if (community === undefined) return json(response, answers.communities());
  if (community !== 'lindenhof') return json(response, null);
  if (kind === undefined) return json(response, answers.community());
  if (kind === 'live') return stream(request, response);
  if (kind === 'slots') return json(response, id === undefined ? answers.slots(limit, before) : answers.slot(id));
  if (kind !== 'members') return json(response, null);
  if (id === undefined) return json(response, answers.members());
  return json(response, sub === 'statements' ? answers.statements(id, limit, before) : answers.member(id));
}

function json(response, body) {
  const problem = { type: '/problems/not-found', title: 'Not found', status: 404, detail: 'There is nothing of this name here.' };
  response.writeHead(body === null ? 404 : 200, { ...HEADERS, 'content-type': body === null ? 'application/problem+json' : 'application/json' });
  response.end(JSON.stringify(body ?? problem));
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
