// What the browser checks assert with, and the page that they do it on.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { openPage } from './browser.mjs';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Throws, with `what`, if the condition does not hold. */
export function must(condition, what) {
  if (!condition) throw new Error(what);
}

/** Fails on any finding of axe, best practices included. */
export async function accessible(page, view) {
  // The page polls and counts down: findings are of one moment, so the moment must be a settled one.
  await page.waitForTimeout(200);
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const findings = violations.flatMap((v) => v.nodes.slice(0, 3).map((node) => `${v.id}: ${node.target.join(' ')} (${node.failureSummary?.split('\n')[1]?.trim() ?? ''})`));
  must(findings.length === 0, `axe in the ${view} view:\n    ${findings.join('\n    ')}`);
}

/** Fails if the page is wider than its window. */
export async function fits(page, view) {
  const [inner, scroll] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
  must(scroll <= inner, `the ${view} view is ${scroll} px wide in a window of ${inner} px`);
}

/** Opens a page with these options, runs `body` on it, and fails on script errors or refused content. */
export async function on(browser, options, body) {
  const { page, complaints, close } = await openPage(browser, options);
  try {
    await body(page);
    must(complaints.length === 0, complaints.join('; '));
  } finally {
    await close();
  }
}
