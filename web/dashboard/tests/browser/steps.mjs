// Steps that several browser scripts take.

/** Longest wait for something to appear, in milliseconds. A fresh server settles its first slot within two minutes. */
export const PATIENCE_MS = 150_000;

/** The community view is there and shows a settled slot. */
export async function ready(page) {
  await page.getByTestId('latest-slot').waitFor({ timeout: PATIENCE_MS });
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
