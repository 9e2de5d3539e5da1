/** 32-byte words, as the ABI encodes static values: the bytes that a receipt's hashes are made of. */
import { keccak_256 } from '@noble/hashes/sha3.js';

/** A Keccak-256 hash, or any other 32 bytes. */
export type Hash = Uint8Array;

export const keccak = (bytes: Uint8Array): Hash => keccak_256(bytes);

const DIGITS = /^0x(?:[0-9a-f]{2})*$/;

/** Bytes from `0x` and lower-case hex digits; null for anything else. */
export function bytesOf(hex: string): Uint8Array | null {
  if (!DIGITS.test(hex)) return null;
  const bytes = new Uint8Array(hex.length / 2 - 1);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = Number.parseInt(hex.slice(2 * at + 2, 2 * at + 4), 16);
  return bytes;
}

/** `0x` and lower-case hex digits. */
export function hexOf(bytes: Uint8Array): string {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** Collects words, in order. */
export class Words {
  private readonly held: Uint8Array[] = [];

  /** 32 bytes as they are. */
  word(bytes: Uint8Array): this {
    if (bytes.length !== 32) throw new RangeError(`a word has 32 bytes, not ${bytes.length}`);
    this.held.push(bytes);
    return this;
  }

  /** 20 bytes, after twelve zeros. */
  address(bytes: Uint8Array): this {
    if (bytes.length !== 20) throw new RangeError(`an address has 20 bytes, not ${bytes.length}`);
    const word = new Uint8Array(32);
    word.set(bytes, 12);
    return this.word(word);
  }

  /** A signed integer in two's complement. */
  signed(value: bigint | number): this {
    const word = new Uint8Array(32);
    let rest = BigInt.asUintN(256, BigInt(value));
    for (let at = 31; at >= 0; at -= 1) {
      word[at] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return this.word(word);
  }

  /** A text, by the hash of its UTF-8. */
  text(text: string): this {
    return this.word(keccak(new TextEncoder().encode(text)));
  }

  get bytes(): Uint8Array {
    const all = new Uint8Array(this.held.length * 32);
    this.held.forEach((word, index) => all.set(word, index * 32));
    return all;
  }
}
