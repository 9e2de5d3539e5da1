// `npm run screenshots -- --base-url URL --out DIR`: the views, wide and narrow, light and dark.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startMock } from '../mock/server.mjs';
import { argument, openBrowser, openPage } from './browser.mjs';
import { VIEWS, ready } from './steps.mjs';

const out = argument('out') ?? 'shots';
const given = argument('base-url');
/** For pages that show more to who has one. */
const token = argument('token');
const locale = argument('locale') ?? 'en-GB';
const mock = given === null ? await startMock() : null;
const base = given ?? mock.url;
mkdirSync(out, { recursive: true });

const browser = await openBrowser();
for (const width of [1280, 360]) {
  for (const scheme of ['light', 'dark']) {
    const { page, close } = await openPage(browser, { width, height: width === 360 ? 740 : 800, scheme, locale });
    if (token !== null) await page.addInitScript((value) => sessionStorage.setItem('busbar.token', value), token);
    for (const [view, open] of VIEWS) {
      await page.goto(`${base}/#/`);
      await ready(page);
      await open(page);
      await page.waitForTimeout(600);
      await page.screenshot({ path: join(out, `${view}-${width}-${scheme}.png`), fullPage: true });
    }
    await close();
  }
}
await browser.close();
await mock?.close();
console.log(`Screenshots are in ${out}.`);
