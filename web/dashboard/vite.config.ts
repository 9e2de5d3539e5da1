import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The page is served under a Content-Security-Policy of `default-src 'self'`: nothing may be
// inlined, so assets stay files (also small ones) and style sheets stay linked.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      '/api': { target: process.env['BUSBAR_URL'] ?? 'http://127.0.0.1:8080' },
      '/healthz': { target: process.env['BUSBAR_URL'] ?? 'http://127.0.0.1:8080' },
    },
  },
  test: { include: ['tests/unit/**/*.test.ts'] },
});
