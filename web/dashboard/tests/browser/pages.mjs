// The pages beside the three first views, as far as they can be checked against any server without a token.
import { must, on } from './assert.mjs';
import { openPage, openPart, openReceipt, ready } from './steps.mjs';

async function start(page, base) {
  await page.goto(base);
  await ready(page);
}

const verdict = (page, value) => page.locator(`[data-testid=verdict][data-valid=${value}]`).waitFor({ timeout: 30_000 });

/** A receipt's text with one digit of one figure changed. */
export function tampered(text, name) {
  const other = text.replace(new RegExp(`("${name}":"?-?\\d*)(\\d)`), (_, head, digit) => head + ((Number(digit) + 1) % 10));
  must(other !== text && other.length === text.length, `the receipt has no digit in ${name}`);
  return other;
}

async function checkFile(page, text) {
  await openPage(page, 'check');
  await page.locator('input[type=file]').setInputFiles({ name: 'receipt.json', mimeType: 'application/json', buffer: Buffer.from(text) });
}

export const PAGE_CHECKS = [
  ['a statement is verified against the chain, step by step', (browser, base) =>
    on(browser, {}, async (page) => {
      await start(page, base);
      await openReceipt(page);
      await verdict(page, true);
      must((await page.locator('[data-testid^=step-][data-state=good]').count()) === 6, 'not every step has passed');
    })],
  ['the receipt is downloaded as the API gives it, and its file verifies', (browser, base) =>
    on(browser, {}, async (page) => {
      await start(page, base);
      const answered = page.waitForResponse((response) => response.url().includes('/receipts/'));
      await openReceipt(page);
      const given = await (await answered).text();
      const download = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Download the receipt' }).click();
      let kept = '';
      for await (const part of await (await download).createReadStream()) kept += part;
      must(kept === given, 'the file differs from the answer');
      await checkFile(page, kept);
      await verdict(page, true);
    })],
  ['a receipt with one figure changed is refused, with the failure named', (browser, base) =>
    on(browser, {}, async (page) => {
      await start(page, base);
      const answered = page.waitForResponse((response) => response.url().includes('/receipts/'));
      await openReceipt(page);
      const given = await (await answered).text();
      for (const [name, step, words] of [['import_wh', 'leaf', 'fingerprint'], ['residual_nano', 'figures', 'amount was changed'], ['revision', 'leaf', 'revision'], ['salt', 'leaf', 'fingerprint']]) {
        await checkFile(page, name === 'salt' ? given.replace(/("salt":"0x)(.)/, (_, head, digit) => head + (digit === '0' ? '1' : '0')) : tampered(given, name));
        await verdict(page, false);
        must((await page.getByTestId(`step-${step}`).innerText()).includes(words), `a changed ${name} is not named`);
        await page.goto(`${base}/#/`);
      }
    })],
  ['a node that does not answer proves nothing either way', (browser, base) =>
    on(browser, {}, async (page) => {
      await start(page, base);
      await openReceipt(page);
      await verdict(page, true);
      await page.getByLabel('Node of the chain').fill('http://127.0.0.1:9');
      await page.getByRole('button', { name: 'Check', exact: true }).click();
      await page.getByText('nothing is proved either way').waitFor();
    })],
  ['the market shows the book and the time to gate closure', (browser, base) =>
    on(browser, {}, async (page) => {
      await start(page, base);
      await openPage(page, 'market');
      await page.getByTestId('gate').first().waitFor({ timeout: 30_000 });
      must(/^\d+:\d\d/.test(await page.getByTestId('gate').first().innerText()), 'no countdown');
      must((await page.getByTestId('book-side').count()) === 2, 'two sides are expected');
    })],
  ['the devices show their state, and a member sees its own', (browser, base) =>
    on(browser, {}, async (page) => {
      await start(page, base);
      await openPage(page, 'devices');
      await page.getByTestId('device-summary').waitFor();
      const all = await page.getByTestId('device-state').count();
      await page.goto(`${base}/#/`);
      await ready(page);
      await openPart(page, 'devices');
      await page.getByTestId('device-state').first().waitFor();
      must((await page.getByTestId('device-state').count()) <= all, 'a member sees more than there is');
    })],
  ['the autopilot shows its settings and what they would do', (browser, base) =>
    on(browser, {}, async (page) => {
      await start(page, base);
      await openPart(page, 'autopilot');
      for (const name of ['How it trades', 'What is to come', 'Orders it would place', 'What these settings would have saved', 'Changes']) {
        await page.getByRole('region', { name, exact: true }).waitFor();
      }
      must(await page.getByRole('button', { name: 'Save the settings' }).isDisabled(), 'without a token settings can be saved');
    })],
];
