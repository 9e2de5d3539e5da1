/** Views that most visits do not open: their code is fetched when they are first shown. */
export const later = {
  account: () => import('./account/AccountView.svelte'),
  autopilot: () => import('./autopilot/AutopilotView.svelte'),
  devices: () => import('./devices/DevicesView.svelte'),
  file: () => import('./receipt/FileView.svelte'),
  market: () => import('./market/MarketView.svelte'),
  receipt: () => import('./receipt/ReceiptView.svelte'),
};
