// A problem document (RFC 9457), thrown by the mock's parts and sent by its server.
export class Problem extends Error {
  constructor(status, code, title, detail) {
    super(detail);
    this.status = status;
    this.body = { type: `/problems/${code}`, title, status, detail };
  }
}

/** Money and prices leave as decimal strings. */
export const text = (value) => JSON.parse(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? String(item) : item)));
