// What a member with a token can do. Only against the mock: it changes things.
import { TOKEN } from '../mock/routes.mjs';
import { startMock } from '../mock/server.mjs';
import { accessible, fits, must, on } from './assert.mjs';
import { loaded, openPage, openPart, ready } from './steps.mjs';

/** A page of a member whose tab has the token, on a mock of its own. */
function own(part, options, body) {
  return async (browser) => {
    const mock = await startMock({ slotS: 60 });
    try {
      await on(browser, options, async (page) => {
        await page.addInitScript((token) => sessionStorage.setItem('busbar.token', token), TOKEN);
        await page.goto(mock.url);
        await ready(page);
        await openPart(page, part);
        await body(page, mock.url);
      });
    } finally {
      await mock.close();
    }
  };
}

async function fillOrder(page, wh, limit) {
  await page.getByLabel('Energy in Wh').first().fill(wh);
  await page.getByLabel('Limit in ct/kWh').first().fill(limit);
}

const place = (page) => page.getByRole('button', { name: 'Place the order' }).click();

/** Stands for a wallet that signs whatever it is shown. */
const WALLET = () => {
  globalThis.ethereum = {
    request: async ({ method }) => (method === 'personal_sign' ? `0x${'1b'.repeat(65)}` : ['0x00000000000000000000000000000000000b0b00']),
  };
};

export const MEMBER_CHECKS = [
  ['an order by hand is placed, changed and cancelled', own('market', {}, async (page) => {
    await fillOrder(page, '250', '18.25');
    must((await page.getByTestId('worth').innerText()).includes('0.045625'), 'the cost is not exact');
    await place(page);
    await page.getByText('The market has accepted the order.').waitFor();
    const orders = page.getByRole('table', { name: 'My open orders' });
    await orders.getByText('buy 250 Wh').waitFor();
    await orders.getByRole('button', { name: /^Change the order/ }).click();
    await page.getByLabel('Energy in Wh').last().fill('200');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await orders.getByText('buy 200 Wh').waitFor();
    must(/^Change the order/.test((await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))) ?? ''), 'the keyboard does not come back from the form');
    await orders.getByRole('button', { name: /^Cancel the order/ }).click();
    await page.getByText('The order is cancelled.').waitFor();
    await page.getByText('No open orders').waitFor();
  })],
  ['an order outside the bounds is not sent, and a refusal is told in words', own('market', {}, async (page) => {
    await fillOrder(page, '0', '99');
    must((await page.getByText('Enter a whole number from 1').count()) === 1 && (await page.getByText('Enter a price from').count()) === 1, 'the bounds are not named');
    await place(page);
    must((await page.getByText('accepted').count()) === 0, 'it was sent all the same');
    must((await page.evaluate(() => document.activeElement?.getAttribute('aria-invalid'))) === 'true', 'the keyboard is not at the wrong entry');
    await fillOrder(page, '60000', '18');
    await place(page);
    await page.getByText('Your free credits do not cover this order.').waitFor();
    await accessible(page, 'refused order');
    await fillOrder(page, '777', '18');
    await place(page);
    await page.getByRole('alert').getByText('The book of this slot is full.').waitFor();
  })],
  ['what is typed stays when the slot closes and the next takes its place', async (browser) => {
    const mock = await startMock({ slotS: 10 });
    try {
      await on(browser, {}, async (page) => {
        await page.goto(`${mock.url}/#/members/m-001/market`);
        await fillOrder(page, '250', '18');
        const before = await page.getByLabel('Slot', { exact: true }).inputValue();
        await page.waitForFunction((slot) => document.querySelector('select')?.value !== slot, before);
        must((await page.getByLabel('Energy in Wh').inputValue()) === '250', 'the form was emptied');
      });
    } finally {
      await mock.close();
    }
  }],
  ['a wrong token is told of, and nothing can be changed without one', own('market', {}, async (page) => {
    await page.getByRole('button', { name: 'Forget it' }).click();
    must(await page.getByRole('button', { name: 'Place the order' }).isDisabled(), 'an order can be placed without a token');
    await page.getByLabel('Your access token').fill('not-the-one');
    await page.getByRole('button', { name: 'Use this token' }).click();
    await fillOrder(page, '250', '18');
    await place(page);
    await page.getByRole('alert').getByText('The access token is missing or not the right one.').waitFor();
  })],
  ['a torn connection is tried again with the same key', own('market', {}, async (page) => {
    const keys = [];
    await page.route('**/orders', (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      return keys.length === 1 ? route.abort() : route.continue();
    });
    await fillOrder(page, '250', '18');
    await place(page);
    await page.getByRole('alert').getByText('trying again is harmless').waitFor();
    await place(page);
    await page.getByText('The market has accepted the order.').waitFor();
    must(keys.length === 2 && keys[0] === keys[1] && /^web-[0-9a-f]{32}$/.test(keys[0]), `the keys are ${keys.join(' and ')}`);
  })],
  ['autopilot settings are tried out, saved and undone', own('autopilot', {}, async (page) => {
    const how = page.getByRole('region', { name: 'How it trades' });
    await page.getByText('greenest').first().click();
    await page.getByText('These settings would have saved 0.4120').waitFor();
    await how.getByRole('checkbox', { name: 'Set the most I pay myself' }).check();
    await how.getByLabel('The most you pay, in ct/kWh').last().fill('40');
    await page.getByText('Enter a price from').waitFor();
    must(await page.getByRole('button', { name: 'Save the settings' }).isDisabled(), 'a limit beyond the tariffs can be saved');
    await how.getByLabel('The most you pay, in ct/kWh').last().fill('20.5');
    await page.getByText('moving to 20.5 ct/kWh').first().waitFor();
    await page.getByRole('button', { name: 'Save the settings' }).click();
    await page.getByText('Saved. The autopilot trades by these settings').waitFor();
    await page.getByRole('table', { name: 'Changes' }).getByText('greenest, pays up to 20.5 ct/kWh').waitFor();
  })],
  ['wishes for the closing auction are saved: whom, and for how much more', own('autopilot', {}, async (page) => {
    const card = page.getByRole('region', { name: 'In the closing auction' });
    await card.getByText('from neighbours that I name').click();
    await card.getByText('Name at least one neighbour.').waitFor();
    must(await card.getByRole('button', { name: 'Save for the closing auction' }).isDisabled(), 'partners without a name can be saved');
    await card.getByLabel('Add a neighbour').selectOption({ label: 'Cedar' });
    await card.getByLabel('The most on top of the price').fill('99');
    await card.getByText('Enter a price from 0').waitFor();
    await card.getByLabel('The most on top of the price').fill('1,5');
    await card.getByRole('button', { name: 'Save for the closing auction' }).click();
    await card.getByText('It holds for every slot that begins from now on.').waitFor();
    await card.getByText('Holds for slots from').waitFor();
    must((await card.getByLabel('The most on top of the price').inputValue()) === '1.5', 'the premium is not kept');
    await accessible(page, 'wishes');
  })],
  ['the autopilot is paused and trades again', own('autopilot', {}, async (page) => {
    await page.getByRole('button', { name: 'Pause the autopilot' }).click();
    await page.locator('[data-testid=autopilot-state][data-paused=true]').waitFor();
    await page.getByText('It would place no orders').waitFor();
    await page.getByRole('button', { name: 'Let the autopilot trade again' }).click();
    await page.locator('[data-testid=autopilot-state][data-paused=false]').waitFor();
  })],
  ['settings that somebody else has changed are not overwritten', own('autopilot', {}, async (page, base) => {
    await page.getByText('cheapest').first().click();
    // The page has not heard of the change when it saves.
    await page.route('**/autopilot', (route) => (route.request().method() === 'PUT' ? page.unroute('**/autopilot').then(() => route.fallback()) : route.abort()));
    const address = `${base}/api/v1/communities/lindenhof/members/m-001/sites/site-001/autopilot`;
    const other = { preset: 'greenest', paused: false, bid_limit_micro_per_kwh: null, offer_limit_micro_per_kwh: null, battery_reserve_percent: 50, follows_battery_plan: false };
    const answer = await fetch(address, { method: 'PUT', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: JSON.stringify(other) });
    must(answer.ok, 'the mock does not take the settings');
    await page.getByRole('button', { name: 'Save the settings' }).click();
    await page.getByText('Somebody else has changed the settings').waitFor();
    must((await page.getByTestId('reserve').innerText()) === '50 %', 'the other’s settings are not shown');
  })],
  ['gaps are hatched: in the forecast and in the days of a device', own('autopilot', {}, async (page, base) => {
    must((await page.getByTestId('fan-gap').count()) === 1, 'the slot without a figure is not hatched');
    await page.goto(`${base}/#/members/m-003/devices`);
    await page.getByTestId('day-gap').first().waitFor();
  })],
  ['events of devices load on request, and unknown kinds are shown by their words', async (browser, base) =>
    on(browser, {}, async (page) => {
      await page.goto(`${base}/#/devices`);
      const events = page.getByRole('region', { name: 'What happened' }).getByRole('listitem');
      await events.first().waitFor();
      must((await events.count()) === 25, 'the first page has not 25 events');
      await page.getByRole('button', { name: 'Show older events' }).click();
      await page.waitForFunction(() => document.querySelectorAll('main ol > li').length === 60);
      must((await page.getByText('a kind that this page does not know').count()) > 0, 'an unknown kind is left out');
    })],
  ['an own address is linked by pasting a signature', own('account', {}, async (page) => {
    await page.getByLabel('Your address').fill('0x00000000000000000000000000000000000a11ce');
    await page.getByRole('button', { name: 'Show the message to sign' }).click();
    const message = await page.getByTestId('message').innerText();
    must(message.includes('Chain ID: 31337') && message.includes('0x00000000000000000000000000000000000a11ce'), `the message is ${message}`);
    await page.getByLabel('Signature').fill(`0x${'00'.repeat(65)}`);
    await page.getByRole('button', { name: 'Link this address' }).click();
    await page.getByRole('alert').getByText('The signature was not accepted.').waitFor();
    await accessible(page, 'refused link');
    await page.getByLabel('Signature').fill(`0x${'1b'.repeat(65)}`);
    await page.getByRole('button', { name: 'Link this address' }).click();
    await page.getByText('The change is under way.').waitFor();
    await page.getByText('your own, linked on').waitFor({ timeout: 20_000 });
  })],
  ['an own address is linked with the wallet of the browser', async (browser) => {
    const mock = await startMock({ slotS: 60 });
    try {
      await on(browser, {}, async (page) => {
        await page.addInitScript((token) => sessionStorage.setItem('busbar.token', token), TOKEN);
        await page.addInitScript(WALLET);
        await page.goto(`${mock.url}/#/members/m-002/account`);
        await page.getByRole('button', { name: 'Link with the wallet in this browser' }).click();
        await page.getByText('The change is under way.').waitFor();
        await page.getByText('0x00000000000000000000000000000000000b0b00 is being linked').waitFor();
      });
    } finally {
      await mock.close();
    }
  }],
  ['an empty community has an empty market and no devices', async (browser) => {
    const mock = await startMock({ empty: true });
    try {
      await on(browser, { width: 360, height: 740 }, async (page) => {
        await page.goto(mock.url);
        await openPage(page, 'market');
        await page.getByText('No slot takes orders now').waitFor();
        await accessible(page, 'empty market');
        await openPage(page, 'devices');
        await page.getByText('No devices yet').waitFor();
        await page.getByText('Nothing happened yet').waitFor();
        await fits(page, 'empty devices');
        await accessible(page, 'empty devices');
      });
    } finally {
      await mock.close();
    }
  }],
  ...['en-GB', 'de-DE'].flatMap((locale) => [1280, 360].flatMap((width) => ['light', 'dark'].map((scheme) => [
    `a member's pages have no finding and fit: ${locale}, ${width} px, ${scheme}`,
    own('autopilot', { locale, width, height: 800, scheme, motion: 'reduce' }, async (page, base) => {
      await page.getByRole('checkbox').first().check();
      for (const part of ['autopilot', 'market', 'devices', 'account']) {
        if (part !== 'autopilot') await page.goto(`${base}/#/members/m-001/${part}`);
        await page.locator('main section').first().waitFor();
        await loaded(page);
        await fits(page, part);
        await accessible(page, part);
      }
    }),
  ]))),
];
