/** The web's `fetch` through the network. Run: node examples/fetch.ts */
import { enter } from './network.ts';

const { node, url, close } = await enter();
try {
  const response = await node.fetch(url, { signal: AbortSignal.timeout(15_000) });
  console.log(response.status, (await response.text()).trim());
} finally {
  await close();
}
