/** Which node of a chain the reader asks: the chosen one, what the server suggests, or the usual one of a development chain. */
import { recall, remember } from './prefs.svelte';

/** Chains that run on the reader's own machine, for development and demonstrations. */
const DEVELOPMENT_CHAINS = [31_337, 1_337];
/** Where the demonstration's chain listens if it can. */
const DEVELOPMENT_NODE = 'http://127.0.0.1:18545';

export function endpointOf(chainId: number, suggested: string | null): string {
  const usual = DEVELOPMENT_CHAINS.includes(chainId) ? DEVELOPMENT_NODE : '';
  return recall(`node.${chainId}`) ?? suggested ?? usual;
}

export function rememberEndpoint(chainId: number, endpoint: string): void {
  remember(`node.${chainId}`, endpoint);
}
