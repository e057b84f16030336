/**
 * Keeping identities apart: what has different isolation keys shares no circuit, so that nobody on the way or at the far end can tell
 * that it is one client's. Run: node examples/isolation.ts
 */
import { enter } from './network.ts';

const { node, url, close } = await enter();
try {
  node.addEventListener('path', ({ change, path }) =>
    console.log(`circuit ${change}: ${path.map((hop) => hop.id.slice(0, 8)).join(' → ')}`),
  );
  for (const isolation of ['alice', 'bob', 'alice']) {
    const response = await node.fetch(url, { isolation, signal: AbortSignal.timeout(15_000) });
    console.log(`${isolation}: ${(await response.text()).trim()}`);
  }
} finally {
  await close();
}
