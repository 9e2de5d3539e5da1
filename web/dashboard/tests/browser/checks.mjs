// What the dashboard must do in a browser, against any server: the real one or the mock.
import { PAGE_CHECKS } from './pages.mjs';
import { accessible, fits, must, on } from './assert.mjs';
import { VIEWS, openLatestSlot, openMember, ready } from './steps.mjs';

async function eachView(page, base, check) {
  for (const [view, open] of VIEWS) {
    await page.goto(`${base}/#/`);
    await ready(page);
    await open(page);
    await check(page, view);
  }
}

/** The checks, as pairs of a name and a function of (browser, base URL). */
export const CHECKS = [
  ['the community view shows a settled slot, figures and live data', (browser, base) =>
    on(browser, {}, async (page) => {
      await page.goto(base);
      await ready(page);
      must(/kWh|Wh/.test(await page.getByTestId('sentence').innerText()), 'the sentence names no energy');
      must((await page.getByRole('row').filter({ hasText: /settled|corrected/ }).count()) > 0, 'no settled slot in the table');
      must((await page.getByTestId('figures').getByRole('heading', { level: 3 }).count()) === 4, 'four key figures are expected');
      must((await page.locator('main a[href^="#/members/"]').count()) > 0, 'no member is listed');
      await page.locator('[data-testid=live][data-connection=live]').waitFor({ timeout: 15_000 });
    })],
  ['the slot view shows its transaction and books that balance', (browser, base) =>
    on(browser, { origin: base }, async (page) => {
      await page.goto(base);
      await ready(page);
      await openLatestSlot(page);
      const shown = await page.getByTestId('tx-hash').innerText();
      const hash = shown.match(/0x[0-9a-f]{64}/)?.[0];
      must(hash !== undefined, `no transaction hash: ${shown}`);
      await page.getByTestId('tx-hash').getByRole('button').click();
      must((await page.evaluate(() => navigator.clipboard.readText())) === hash, 'the copy button copies something else');
      const sums = (await page.getByTestId('money-sum').innerText()).match(/0\.0{9}/g) ?? [];
      must(sums.length === 2, 'the money sum is not shown twice as 0.000000000');
    })],
  ['the member view shows balance, chart, meters, orders and statement', (browser, base) =>
    on(browser, {}, async (page) => {
      await page.goto(base);
      await ready(page);
      await openMember(page);
      for (const name of ['Slot by slot', 'Sites and meters', 'Orders', 'Neighbours', 'Statement']) {
        await page.getByRole('region', { name, exact: true }).waitFor();
      }
      await page.getByRole('table', { name: 'Statement' }).getByRole('link').first().click();
      await page.getByRole('region', { name: 'Life of the slot' }).waitFor();
      await page.goBack();
      await page.getByRole('region', { name: 'Orders' }).waitFor();
    })],
  ['German is one press away and stays', (browser, base) =>
    on(browser, {}, async (page) => {
      await page.goto(base);
      await ready(page);
      await page.getByRole('button', { name: 'Deutsch' }).click();
      await page.getByRole('heading', { name: 'Mitglieder' }).waitFor();
      await page.reload();
      await page.getByRole('heading', { name: 'Mitglieder' }).waitFor();
      must((await page.getAttribute('html', 'lang')) === 'de', 'the page does not say that it is German');
    })],
  ['dark follows the device and the toggle', (browser, base) =>
    on(browser, { scheme: 'dark' }, async (page) => {
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      await page.goto(base);
      await ready(page);
      const dark = await ground();
      await page.getByTestId('theme').click();
      must((await ground()) !== dark, 'the toggle does not change the colours');
      must((await page.getAttribute('html', 'data-theme')) === 'light', 'the first press does not choose light');
    })],
  ['the keyboard reaches content and views', (browser, base) =>
    on(browser, {}, async (page) => {
      await page.goto(base);
      await ready(page);
      await page.keyboard.press('Tab');
      must((await page.evaluate(() => document.activeElement?.textContent)) === 'Skip to the content', 'the first stop is not the skip link');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('region', { name: 'Life of the slot' }).waitFor();
      must((await page.evaluate(() => document.activeElement?.id)) === 'main', 'a new view does not take the focus');
    })],
  ['nothing moves when motion is reduced', (browser, base) =>
    on(browser, { motion: 'reduce' }, async (page) => {
      await page.goto(base);
      await ready(page);
      must((await page.evaluate(() => document.getAnimations().length)) === 0, 'an animation is running');
    })],
  ['an unknown member and an unknown page say so', (browser, base) =>
    on(browser, {}, async (page) => {
      await page.goto(`${base}/#/members/nobody-of-this-name`);
      await page.getByRole('alert').getByText('This does not exist').waitFor();
      await page.goto(`${base}/#/elsewhere`);
      await page.getByRole('heading', { name: 'There is no such page' }).waitFor({ state: 'attached' });
    })],
  ...PAGE_CHECKS,
  ['it can be installed: manifest and icons', async (browser, base) => {
    const answer = await fetch(`${base}/manifest.webmanifest`);
    must(answer.ok, 'no manifest');
    for (const icon of (await answer.json()).icons) {
      must((await fetch(new URL(icon.src, `${base}/`))).ok, `no icon ${icon.src}`);
    }
  }],
  ['every view fits 360 px', (browser, base) =>
    on(browser, { width: 360, height: 740 }, (page) => eachView(page, base, fits))],
  ['every view fits 360 px in German', (browser, base) =>
    on(browser, { width: 360, height: 740, locale: 'de-DE' }, (page) => eachView(page, base, fits))],
  ...['light', 'dark'].flatMap((scheme) => [1280, 360].map((width) => [
    `axe finds nothing: ${scheme}, ${width} px`,
    (browser, base) => on(browser, { scheme, width, height: 800, motion: 'reduce' }, (page) => eachView(page, base, accessible)),
  ])),
];

/** Runs named checks one after another and tells of each; returns how many passed and failed. */
export async function run(checks, browser, base) {
  const counts = { passed: 0, failed: 0 };
  for (const [name, check] of checks) {
    try {
      await check(browser, base);
      counts.passed += 1;
      console.log(`ok      ${name}`);
    } catch (error) {
      counts.failed += 1;
      console.log(`FAILED  ${name}\n    ${error.message}`);
    }
  }
  return counts;
}

/** Prints the last line and sets the exit status. */
export function conclude({ passed, failed }) {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}
