// `npm run screenshots -- --base-url URL --out DIR`: the three views, wide and narrow, light and dark.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startMock } from '../mock/server.mjs';
import { argument, openBrowser, openPage } from './browser.mjs';
import { openLatestSlot, openMember, ready } from './steps.mjs';

const out = argument('out') ?? 'shots';
const given = argument('base-url');
const mock = given === null ? await startMock() : null;
const base = given ?? mock.url;
mkdirSync(out, { recursive: true });

const browser = await openBrowser();
for (const width of [1280, 360]) {
  for (const scheme of ['light', 'dark']) {
    const { page, close } = await openPage(browser, { width, height: width === 360 ? 740 : 800, scheme });
    await page.goto(base);
    await ready(page);
    const shoot = async (view) => {
      await page.waitForTimeout(600);
      await page.screenshot({ path: join(out, `${view}-${width}-${scheme}.png`), fullPage: true });
    };
    await shoot('community');
    await openMember(page);
    await shoot('member');
    await page.goto(`${base}/#/`);
    await ready(page);
    await openLatestSlot(page);
    await shoot('slot');
    await close();
  }
}
await browser.close();
await mock?.close();
console.log(`Screenshots are in ${out}.`);
