// Which address of the API gives which answer, and who may change something.
import { createHash } from 'node:crypto';
import { Book } from './book.mjs';
import { devices, events } from './devices.mjs';
import { Links } from './links.mjs';
import { MEMBERS } from './market.mjs';
import { Pilot } from './pilot.mjs';
import { Problem } from './problem.mjs';

/** The one token that counts here. */
export const TOKEN = 'member-token-of-the-mock';
const missing = () => new Problem(404, 'not-found', 'Not found', 'There is nothing of this name here.');

export class Routes {
  constructor(answers) {
    this.answers = answers;
    this.book = new Book(answers);
    this.pilot = new Pilot(answers);
    this.links = new Links();
  }

  async answer(request, url) {
    try {
      const body = await bodyOf(request);
      if (request.method !== 'GET') authorized(request);
      const found = this.find(request, url, body);
      if (found === null || found === undefined) throw missing();
      const text = typeof found === 'string' ? found : JSON.stringify(found);
      const etag = `"${createHash('sha1').update(text).digest('hex')}"`;
      if (request.headers['if-none-match'] === etag) return { status: 304, body: '', headers: { etag } };
      return { status: 200, body: text, headers: { etag } };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return { status: error.status, body: JSON.stringify(error.body) };
    }
  }

  find(request, url, body) {
    const [root, community, kind, ...rest] = url.pathname.split('/').slice(3).map(decodeURIComponent);
    const page = [Number(url.searchParams.get('limit') ?? 50), url.searchParams.get('before')];
    if (root === 'stack') return this.answers.stack();
    if (root !== 'communities') return null;
    if (community === undefined) return this.answers.communities();
    if (community !== 'lindenhof') return null;
    switch (kind) {
      case undefined:
        return this.answers.community();
      case 'slots':
        return this.slots(rest, page);
      case 'members':
        return this.members(request, url, rest, page, body);
      case 'orders':
        return this.orders(request, url, rest, body);
      case 'commands':
        return this.book.command(rest[0]);
      case 'trades':
        return this.book.tradesBySlot(page[0]);
      case 'devices':
        return rest[0] === 'events' ? events(this.answers, url.searchParams.get('member_id'), ...page) : devices(this.answers, url.searchParams.get('member_id'));
      default:
        return null;
    }
  }

  slots([start, sub], page) {
    if (start === undefined) return this.answers.slots(...page);
    return sub === 'depth' ? this.book.depth(start) : this.answers.slot(start);
  }

  orders(request, url, [id], body) {
    if (request.method === 'POST') return this.book.place(body, request.headers['idempotency-key']);
    if (request.method === 'PATCH') return this.book.replace(id, body);
    return request.method === 'DELETE' ? this.book.cancel(id, url.searchParams.get('member_id')) : null;
  }

  members(request, url, [id, kind, ...rest], page, body) {
    if (id === undefined) return this.answers.members();
    const index = this.answers.empty ? -1 : MEMBERS.findIndex((member) => member.member_id === id);
    if (index < 0) throw new Problem(404, 'unknown-member', 'No such member', `the community has no member with the id "${id}"`);
    switch (kind) {
      case undefined:
        return this.answers.member(id);
      case 'statements':
        return this.answers.statements(id, ...page);
      case 'receipts':
        return this.answers.receipt(index, rest[0]);
      case 'orders':
        return this.book.ownOrders(id, url.searchParams.get('status'));
      case 'trades':
        return this.book.ownTrades(index, page[0]);
      case 'sites':
        return this.site(request, url, index, rest, body);
      case 'link':
        authorized(request);
        if (rest[0] === 'challenge') return this.links.challenge(index, body, request.headers.host);
        return request.method === 'POST' ? this.links.link(index, body) : this.links.show(index);
      default:
        return null;
    }
  }

  site(request, url, index, [site, kind, sub], body) {
    if (kind === 'forecast') return this.pilot.forecast(index, site);
    if (kind === 'standing-order') return request.method === 'PUT' ? this.pilot.stand(index, site, body) : this.pilot.standing(index, site);
    if (kind !== 'autopilot') return null;
    if (sub === 'preview') return this.pilot.preview(index, site, url.searchParams);
    if (sub === 'what-if') return this.pilot.whatIf(index, site, url.searchParams);
    return request.method === 'PUT' ? this.pilot.save(index, site, body) : this.pilot.settings(index, site);
  }
}

function authorized(request) {
  if (request.headers.authorization !== `Bearer ${TOKEN}`) throw new Problem(401, 'unauthorized', 'A token is needed', 'the bearer token is not the right one');
}

async function bodyOf(request) {
  let text = '';
  for await (const part of request) text += part;
  return text === '' ? {} : JSON.parse(text);
}
