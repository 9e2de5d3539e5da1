// Draws the PNG icons in public/ from public/icon.svg. Run by hand when the icon changes.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openBrowser } from './browser.mjs';

const at = (name) => fileURLToPath(new URL(`../../public/${name}`, import.meta.url));
const svg = readFileSync(at('icon.svg'), 'utf8');
// A maskable icon, and Apple's, are cut to shape by the device: no round corners, more air.
const whole = svg.replace('rx="15"', 'rx="0"').replace('viewBox="0 0 64 64"', 'viewBox="-8 -8 80 80"').replace('<rect width="64" height="64"', '<rect x="-8" y="-8" width="80" height="80"');

const browser = await openBrowser();
for (const [name, size, source] of [['icon-192.png', 192, svg], ['icon-512.png', 512, svg], ['icon-maskable-512.png', 512, whole], ['apple-touch-icon.png', 180, whole]]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  await page.setContent(`<style>*{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${source}`);
  writeFileSync(at(name), await page.screenshot({ omitBackground: true }));
  await page.close();
}
await browser.close();
