/** Node's own HTTP client, and whatever is built on it: `node.agent()`. Run: node examples/http-agent.ts */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';
import { text } from 'node:stream/consumers';
import { enter } from './network.ts';

const { node, url, close } = await enter();
try {
  const secure = url.protocol === 'https:';
  const agent = secure ? node.httpsAgent() : node.agent();
  // The second request goes over the connection of the first.
  for (const attempt of [1, 2]) {
    const request = (secure ? getSecurely : get)(url, { agent, signal: AbortSignal.timeout(15_000) });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    console.log(`${attempt}: ${response.statusCode} ${(await text(response)).trim()}`);
  }
  await agent.close();
} finally {
  await close();
}
