/** Small decoders: what the server sends is checked once, here, and typed from then on. */

/** The server sent something that this page does not understand. */
export class DecodeError extends Error {
  constructor(path: string, wanted: string, got: unknown) {
    super(`${path}: expected ${wanted}, got ${describe(got)}`);
    this.name = 'DecodeError';
  }
}

/** Turns an unknown value into a `T`, or throws a {@link DecodeError} that names the field. */
export type Decoder<T> = (value: unknown, path: string) => T;

function describe(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 60);
}

export const text: Decoder<string> = (value, path) => {
  if (typeof value !== 'string') throw new DecodeError(path, 'a string', value);
  return value;
};

export const flag: Decoder<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw new DecodeError(path, 'true or false', value);
  return value;
};

/** An integer that a JavaScript number carries exactly (energy in Wh, power in W, counts). */
export const integer: Decoder<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new DecodeError(path, 'an integer', value);
  }
  return value;
};

/** A number that names something (an order, a trade), as a number or in text. */
export const id: Decoder<string> = (value, path) => {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (typeof value !== 'string') throw new DecodeError(path, 'an id', value);
  return value;
};

/** A decimal string of an integer: money in nano-currency, prices in micro-currency per kWh. */
export const decimal: Decoder<bigint> = (value, path) => {
  if (typeof value !== 'string' || !/^-?\d{1,40}$/.test(value)) {
    throw new DecodeError(path, 'a decimal string', value);
  }
  return BigInt(value);
};

/** A time of RFC 3339, kept as it came: it is also the slot's name in addresses. */
export const time: Decoder<string> = (value, path) => {
  if (typeof value !== 'string' || Number.isNaN(Date.parse(value))) {
    throw new DecodeError(path, 'a time', value);
  }
  return value;
};

/** Null means "not known", and stays null: it is never turned into zero. */
export function nullable<T>(inner: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null || value === undefined ? null : inner(value, path));
}

export function list<T>(inner: Decoder<T>): Decoder<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new DecodeError(path, 'a list', value);
    return value.map((item, index) => inner(item, `${path}[${index}]`));
  };
}

/** An object with at least these fields. Others are ignored: the server may add some. */
export function object<T extends object>(fields: { [K in keyof T]-?: Decoder<T[K]> }): Decoder<T> {
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new DecodeError(path, 'an object', value);
    }
    const source = value as Record<string, unknown>;
    const result = {} as T;
    for (const key of Object.keys(fields) as (keyof T & string)[]) {
      result[key] = fields[key](source[key], `${path}.${key}`);
    }
    return result;
  };
}
