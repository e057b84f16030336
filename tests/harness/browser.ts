/** The system's Chromium. Without a browser the tests fail; they never skip. */
import { type BrowserContext, chromium } from 'playwright-core';

// The very look-up that the set-up does; it is plain JavaScript, which has no types to import.
const SET_UP: string = new URL('../../scripts/setup/browser.mjs', import.meta.url).href;

/** Chromium with arguments of the test's own. */
export async function openBrowser(userData: string, args: string[] = []): Promise<BrowserContext> {
  const { findBrowser } = (await import(SET_UP)) as { findBrowser(): string | null };
  const executablePath = findBrowser();
  if (executablePath === null)
    throw new Error('no Chromium is installed: `npm test` brings one, or name it in WAYFARE_CHROMIUM');
  return chromium.launchPersistentContext(userData, {
    executablePath,
    headless: true,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  });
}

/** Chromium through a SOCKS proxy. */
export function browse(proxy: string, userData: string): Promise<BrowserContext> {
  return openBrowser(userData, [
    '--disable-quic',
    `--proxy-server=socks5://${proxy}`,
    '--proxy-bypass-list=<-loopback>',
  ]);
}
