// Debian's packages, where this user may install them.
import { capture, run, which } from './exec.mjs';
import { step } from './progress.mjs';

/** The prefix with which apt-get may install, or null. */
export function aptPrefix() {
  if (which('apt-get') === null) return null;
  if (process.getuid?.() === 0) return [];
  return which('sudo') !== null && capture('sudo', ['-n', 'true']) !== null ? ['sudo', '-n'] : null;
}

/** Installs packages; false where this user may not. */
export async function apt(packages, failure = '') {
  const prefix = aptPrefix();
  if (prefix === null) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const names = packages.join(', ');
  await step(`Installing ${names} with apt-get`, async () => {
    for (const args of [
      ['apt-get', 'update', '-qq'],
      ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages],
    ]) {
      const [command, ...rest] = [...prefix, ...args];
      const mending = failure || `apt-get could not install ${names}: install it by hand, then run this again`;
      await run(command, rest, { failure: mending, env });
    }
  });
  return true;
}
