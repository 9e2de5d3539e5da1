/** A wallet in the browser, if there is one (EIP-1193). */

export interface Wallet {
  request(call: { method: string; params?: unknown[] }): Promise<unknown>;
}

export function wallet(): Wallet | null {
  const found = (globalThis as { ethereum?: unknown }).ethereum;
  return typeof found === 'object' && found !== null && 'request' in found ? (found as Wallet) : null;
}

export const isAddress = (text: string): boolean => /^0x[0-9a-fA-F]{40}$/.test(text.trim());
export const isSignature = (text: string): boolean => /^0x[0-9a-fA-F]{130}$/.test(text.trim());

/** Asks for the wallet's first address; null if it gives none. */
export async function addressOf(from: Wallet): Promise<string | null> {
  const accounts = await from.request({ method: 'eth_requestAccounts' });
  const first: unknown = Array.isArray(accounts) ? accounts[0] : null;
  return typeof first === 'string' && isAddress(first) ? first : null;
}

/** Has the wallet sign a message; null if it does not. */
export async function signatureOf(from: Wallet, message: string, address: string): Promise<string | null> {
  const bytes = Array.from(new TextEncoder().encode(message), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const signature = await from.request({ method: 'personal_sign', params: [`0x${bytes}`, address] });
  return typeof signature === 'string' && isSignature(signature) ? signature : null;
}
