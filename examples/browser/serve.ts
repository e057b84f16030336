/** `npm run example:browser`: a network on this machine, and a page in your browser that uses it. */
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.js';
import { startPageNetwork } from './network.js';

const DOWNLOAD_BYTES = 8 * 2 ** 20;

const { folder, compressed } = await bundle(fileURLToPath(new URL('../../.cache/browser', import.meta.url)));
const network = await startPageNetwork(folder, DOWNLOAD_BYTES);
const total = Object.values(compressed).reduce((sum, bytes) => sum + bytes, 0);
console.log(`The page and the core in it: ${(total / 1e6).toFixed(2)} MB compressed.`);
console.log(`Open ${network.url} in a browser that has WebTransport. Ctrl-C ends it.`);
process.once('SIGINT', () => {
  console.log('');
  void network[Symbol.asyncDispose]().then(() => process.exit(0));
});
