// Steps that several browser scripts take.

/** Longest wait for something to appear, in milliseconds. A fresh server settles its first slot within two minutes. */
export const PATIENCE_MS = 150_000;

/** The community view is there and shows a settled slot. */
export async function ready(page) {
  await page.getByTestId('latest-slot').waitFor({ timeout: PATIENCE_MS });
}

/** Nothing of the page is still being loaded. */
export async function loaded(page) {
  await page.waitForFunction(() => document.querySelector('main .skeleton') === null, null, { timeout: 30_000 });
}

/** Opens the latest settled slot from the community view, and waits for its transaction. */
export async function openLatestSlot(page) {
  await page.getByTestId('latest-slot').click();
  await page.getByTestId('tx-hash').waitFor({ timeout: 30_000 });
}

/** Opens the member that is `nth` in the community view's table. */
export async function openMember(page, nth = 0) {
  await page.locator('main a[href^="#/members/"]').nth(nth).click();
  await page.getByTestId('sentence').waitFor({ timeout: 30_000 });
}

/** Opens a page of the member that is `nth` in the community view's table; `part` is its address' last word. */
export async function openPart(page, part, nth = 0) {
  await openMember(page, nth);
  await page.locator(`main nav a[href$="/${part}"]`).click();
  await page.locator('main h1').waitFor();
  await loaded(page);
}

/** Opens the newest receipt of a member, and waits for a verdict that is no longer open. */
export async function openReceipt(page, nth = 0) {
  await openMember(page, nth);
  await page.locator('main a[href*="/receipts/"]').first().click();
  await page.getByTestId('verdict').waitFor();
  await page.waitForFunction(() => document.querySelector('[data-testid=step-contract]') !== null);
}

/** Opens one of the pages that the header links to. */
export async function openPage(page, name) {
  await page.locator(`header nav a[href="#/${name}"]`).click();
  await page.locator('main h1').first().waitFor();
  await loaded(page);
}

/** Every view, as pairs of its name and how to come there from the community view. */
export const VIEWS = [
  ['community', async () => {}],
  ['member', (page) => openMember(page)],
  ['slot', (page) => openLatestSlot(page)],
  ['market', (page) => openPage(page, 'market')],
  ['member-market', (page) => openPart(page, 'market')],
  ['autopilot', (page) => openPart(page, 'autopilot')],
  ['devices', (page) => openPage(page, 'devices')],
  ['member-devices', (page) => openPart(page, 'devices')],
  ['account', (page) => openPart(page, 'account')],
  ['receipt', (page) => openReceipt(page)],
  ['check', (page) => openPage(page, 'check')],
];
