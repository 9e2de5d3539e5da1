// Chromium for the browser tests: Debian's, or the one that CHROMIUM_PATH names.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const CANDIDATES = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Starts a headless browser, or ends the process with a line that says what to install. */
export async function openBrowser() {
  const executablePath = CANDIDATES.find((path) => path && existsSync(path));
  if (!executablePath) {
    console.error('No Chromium found. Install it (apt-get install chromium) or set CHROMIUM_PATH.');
    process.exit(2);
  }
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
}

/** A page of its own, in English and light unless told otherwise. What it complains about is in `complaints`. */
export async function openPage(browser, { width = 1280, height = 900, scheme = 'light', motion = 'no-preference', locale = 'en-GB', origin } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: motion, locale, timezoneId: 'Europe/Berlin' });
  if (origin) await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  // Where the chain of the server under test answers, if neither the server nor its usual port says so.
  const node = argument('rpc-url');
  if (node !== null) await context.addInitScript((url) => localStorage.setItem('busbar.node.31337', url), node);
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(`script error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && /Content.Security.Policy|Refused to/i.test(message.text())) complaints.push(message.text());
  });
  return { page, complaints, close: () => context.close() };
}

/** The value of `--name VALUE` among the arguments. */
export function argument(name) {
  const at = process.argv.indexOf(`--${name}`);
  const value = at < 0 ? undefined : process.argv[at + 1];
  return value === undefined || value.startsWith('--') ? null : value;
}
