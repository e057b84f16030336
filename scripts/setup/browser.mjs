// What the tests use beside Node and Rust: curl, git and a Chromium. Never skipped: what is missing is brought or named.
import { apt } from './apt.mjs';
import { run, which } from './exec.mjs';
import { at, root } from './paths.mjs';
import { SetupError, step } from './progress.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const MAC = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';

export function findBrowser() {
  const named = process.env.WAYFARE_CHROMIUM;
  if (named) return named;
  for (const name of NAMES) {
    const found = which(name);
    if (found !== null) return found;
  }
  return process.platform === 'darwin' ? which(MAC, '') : null;
}

async function playwright() {
  await step("Installing playwright's Chromium", () =>
    run(process.execPath, [at('node_modules', 'playwright-core', 'cli.js'), 'install', 'chromium'], {
      cwd: root,
      failure: 'no Chromium was found and none could be installed: install one, or name it in WAYFARE_CHROMIUM',
    }),
  );
  const { chromium } = await import('playwright-core');
  return chromium.executablePath();
}

/** Resolves with the browser's path once everything that the tests call is there. */
export async function testTools() {
  const missing = ['curl', 'git'].filter((command) => which(command) === null);
  if (missing.length > 0 && !(await apt(missing))) {
    throw new SetupError(`the tests call ${missing.join(' and ')}, not on PATH: install it, then run this again`);
  }
  const found = findBrowser();
  if (found !== null) return found;
  if (await apt(['chromium']).catch(() => false)) return findBrowser() ?? playwright();
  return playwright();
}
