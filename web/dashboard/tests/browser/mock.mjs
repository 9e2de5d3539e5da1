// `npm run test:browser:mock`: the checks against the mock, and those that only a mock allows:
// an empty community, and a server that goes away and comes back.
import { startMock } from '../mock/server.mjs';
import { openBrowser, openPage } from './browser.mjs';
import { accessible, fits, must } from './assert.mjs';
import { CHECKS, conclude, run } from './checks.mjs';
import { MEMBER_CHECKS } from './member.mjs';
import { ready } from './steps.mjs';

const MOCK_CHECKS = [
  ['an empty community says what is still missing', async (browser) => {
    const mock = await startMock({ empty: true });
    const { page, complaints, close } = await openPage(browser, { width: 360, height: 740 });
    try {
      await page.goto(mock.url);
      await page.getByText('No slots yet').waitFor();
      await page.getByText('No members yet').waitFor();
      await page.getByText('No slot is settled yet').waitFor();
      must((await page.getByText('not known yet').count()) >= 4, 'unknown figures are not shown as unknown');
      await fits(page, 'empty community');
      await accessible(page, 'empty community');
      must(complaints.length === 0, complaints.join('; '));
    } finally {
      await close();
      await mock.close();
    }
  }],
  ['a server that goes away is told of, what was shown stays, and it recovers', async (browser) => {
    const mock = await startMock();
    const { page, close } = await openPage(browser);
    let again = null;
    try {
      await page.goto(mock.url);
      await ready(page);
      await mock.close();
      await page.getByTestId('gone').waitFor({ timeout: 20_000 });
      must(await page.getByTestId('latest-slot').isVisible(), 'the last figures are gone too');
      await accessible(page, 'offline');
      again = await startMock({ port: mock.port });
      await page.getByTestId('gone').waitFor({ state: 'detached', timeout: 20_000 });
      await page.locator('[data-testid=live][data-connection=live]').waitFor({ timeout: 20_000 });
    } finally {
      await close();
      await again?.close();
    }
  }],
  ['a server that was never there is told of', async (browser) => {
    const mock = await startMock();
    const { page, close } = await openPage(browser);
    try {
      await page.route('**/api/**', (route) => route.abort());
      await page.goto(mock.url);
      await page.getByRole('alert').getByText('The server does not answer').waitFor();
      await page.unroute('**/api/**');
      await page.getByRole('button', { name: 'Try again' }).click();
      await ready(page);
    } finally {
      await close();
      await mock.close();
    }
  }],
  ['missing slots are hatched in the chart', async (browser, base) => {
    const { page, close } = await openPage(browser);
    try {
      await page.goto(`${base}/#/members/m-003`);
      await page.getByTestId('gap').first().waitFor();
    } finally {
      await close();
    }
  }],
  ['older slots and statements load on request, and their sum is the total', async (browser, base) => {
    const { page, close } = await openPage(browser);
    try {
      await page.goto(base);
      await ready(page);
      const rows = page.getByRole('table', { name: 'Latest slots' }).getByRole('rowheader');
      const few = await rows.count();
      await page.getByRole('button', { name: 'Show older slots' }).click();
      await page.waitForFunction((n) => document.querySelectorAll('table tbody th').length > n + 20, few);
      await page.goto(`${base}/#/members/m-001`);
      await page.getByText('the same as the sum of the lines').waitFor();
    } finally {
      await close();
    }
  }],
];

const mock = await startMock();
const browser = await openBrowser();
try {
  conclude(await run([...CHECKS, ...MOCK_CHECKS, ...MEMBER_CHECKS], browser, mock.url));
} finally {
  await browser.close();
  await mock.close();
}
