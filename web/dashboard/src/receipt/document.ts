/**
 * The receipt's file, read as strictly as `settlement verify` reads it: what a receipt would write
 * otherwise is refused, because it was changed after it was made.
 */

/** How a figure of the statement stands in the file, and in the leaf. */
type Kind = 'wh' | 'nano' | 'flag' | 'wh-or-null';

/** The statement's fields in the order of the leaf (`busbar/statement/v2`). */
export const STATEMENT_FIELDS = [
  ['import_wh', 'wh'],
  ['export_wh', 'wh'],
  ['production_wh', 'wh-or-null'],
  ['substituted', 'flag'],
  ['traded_bought_wh', 'wh'],
  ['traded_bought_nano', 'nano'],
  ['traded_sold_wh', 'wh'],
  ['traded_sold_nano', 'nano'],
  ['closing_bought_wh', 'wh'],
  ['closing_bought_nano', 'nano'],
  ['closing_sold_wh', 'wh'],
  ['closing_sold_nano', 'nano'],
  ['preferred_bought_wh', 'wh'],
  ['preferred_bought_nano', 'nano'],
  ['preferred_sold_wh', 'wh'],
  ['preferred_sold_nano', 'nano'],
  ['residual_import_wh', 'wh'],
  ['residual_export_wh', 'wh'],
  ['residual_nano', 'nano'],
  ['curtailed_wh', 'wh'],
  ['over_limit_wh', 'wh'],
  ['network_fee_nano', 'nano'],
  ['platform_fee_nano', 'nano'],
  ['net_nano', 'nano'],
  ['base_nano', 'nano'],
] as const satisfies readonly (readonly [string, Kind])[];

/** Money in the statement that is no part of the sum. */
const NOT_SUMMED = ['net_nano', 'base_nano'];

export type Figure = number | bigint | boolean | null;

export interface Receipt {
  version: number;
  chain_id: number;
  contract: string;
  community_id: string;
  slot_start: string;
  slot_end: string;
  revision: number;
  batch_id: string;
  account_id: string;
  chain_address: string;
  statement: Record<string, Figure>;
  salt: string;
  leaf: string;
  proof: string[];
}

/** The version of the file, and of the leaf, that this page knows. */
export const VERSION = 2;
/** A tree of this depth has more leaves than any batch. */
const MAX_PROOF = 64;
/** No receipt is longer, in characters. */
export const MAX_FILE = 64 * 1024;
const MAX_I64 = 2n ** 63n - 1n;

/** `json`: no receipt at all. `version`: of another version. `field`: this field is not as a receipt writes it. */
export class InvalidFile extends Error {
  constructor(
    readonly reason: 'json' | 'version' | 'field' | 'written',
    readonly field: string,
  ) {
    super(field === '' ? reason : `${reason}: ${field}`);
    this.name = 'InvalidFile';
  }
}

type Check = (value: unknown) => boolean;
const hex = (bytes: number): Check => {
  const form = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return (value) => typeof value === 'string' && form.test(value);
};
const whole: Check = (value) => Number.isSafeInteger(value) && !Object.is(value, -0);
const id: Check = (value) => typeof value === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(value);
const count: Check = (value) => whole(value) && (value as number) >= 0;
/** Whole seconds in UTC, and a day that exists. */
const time: Check = (value) =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) &&
  !Number.isNaN(Date.parse(value)) &&
  new Date(value).toISOString() === value.replace('Z', '.000Z');
const nano: Check = (value) => {
  if (typeof value !== 'string' || !/^(?:0|-?[1-9]\d{0,18})$/.test(value)) return false;
  const amount = BigInt(value);
  return amount <= MAX_I64 && amount >= -MAX_I64 - 1n;
};
const FIGURE: Record<Kind, Check> = {
  wh: whole,
  nano,
  flag: (value) => typeof value === 'boolean',
  'wh-or-null': (value) => value === null || whole(value),
};

const FIELDS: [keyof Receipt, Check][] = [
  ['version', count],
  ['chain_id', count],
  ['contract', hex(20)],
  ['community_id', id],
  ['slot_start', time],
  ['slot_end', time],
  ['revision', count],
  ['batch_id', hex(32)],
  ['account_id', id],
  ['chain_address', hex(20)],
  ['statement', (value) => typeof value === 'object' && value !== null && !Array.isArray(value)],
  ['salt', hex(32)],
  ['leaf', hex(32)],
  ['proof', (value) => Array.isArray(value) && value.length <= MAX_PROOF && value.every(hex(32))],
];

/** Reads a file's text, or throws {@link InvalidFile} with the field that does not fit. */
export function parseReceipt(text: string): Receipt {
  const source = objectOf(text);
  if (source['version'] !== VERSION) throw new InvalidFile(count(source['version']) ? 'version' : 'field', 'version');
  only(source, FIELDS.map(([name]) => name), '');
  for (const [name, check] of FIELDS) if (!check(source[name])) throw new InvalidFile('field', name);
  const raw = source['statement'] as Record<string, unknown>;
  only(raw, STATEMENT_FIELDS.map(([name]) => name), 'statement.');
  const statement: Record<string, Figure> = {};
  for (const [name, kind] of STATEMENT_FIELDS) {
    const value = raw[name];
    if (!FIGURE[kind](value)) throw new InvalidFile('field', `statement.${name}`);
    statement[name] = kind === 'nano' ? BigInt(value as string) : (value as Figure);
  }
  return { ...(source as unknown as Receipt), statement };
}

/** What the statement's money adds up to: what its `net_nano` must be. */
export function sumOf(statement: Record<string, Figure>): bigint {
  return STATEMENT_FIELDS.reduce(
    (sum, [name, kind]) => (kind === 'nano' && !NOT_SUMMED.includes(name) ? sum + (statement[name] as bigint) : sum),
    0n,
  );
}

function objectOf(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = text.length > MAX_FILE ? null : JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidFile('json', '');
  // A number may be written in many ways and a key twice; a receipt is written in one.
  if (JSON.stringify(value) !== withoutSpace(text)) throw new InvalidFile('written', '');
  return value as Record<string, unknown>;
}

/** JSON text without the white space between its parts; strings stay whole. */
function withoutSpace(json: string): string {
  return json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_, quoted: string | undefined) => quoted ?? '');
}

function only(source: Record<string, unknown>, known: readonly string[], prefix: string): void {
  const stranger = Object.keys(source).find((name) => !known.includes(name));
  if (stranger !== undefined) throw new InvalidFile('field', prefix + stranger);
}
