// `npm run test:browser -- --base-url URL`: the checks against a running server.
import { argument, openBrowser } from './browser.mjs';
import { CHECKS, conclude, run } from './checks.mjs';

const base = argument('base-url')?.replace(/\/$/, '');
if (!base) {
  console.error('Say which server: npm run test:browser -- --base-url http://127.0.0.1:8080');
  process.exit(2);
}
const browser = await openBrowser();
try {
  conclude(await run(CHECKS, browser, base));
} finally {
  await browser.close();
}
