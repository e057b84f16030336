/**
 * Serving by id: a node that takes streams to itself, and a client that reaches it through the network. Run: node examples/listen.ts
 *
 * With arguments (see network.ts; the URL is not asked) the listener enters that network, where it must be reachable from others.
 */
import { createServer } from 'node:http';
import { createNode } from 'wayfare';
import { enter } from './network.ts';

const { node, peers, close } = await enter();
const listening = await createNode({ roles: ['listener'], listen: ['127.0.0.1:0'], bootstrap: peers });
try {
  const server = createServer((request, response) => response.end(`Hello from ${request.headers.host}\n`));
  const listener = listening.listenNode({ port: 80 }, (stream) => server.emit('connection', stream));
  console.log(`listening at ${listener.address}`);
  await node.find(listening.id, { signal: AbortSignal.timeout(20_000) });
  const response = await node.fetch(`http://${listening.id}.wayfare/`, { signal: AbortSignal.timeout(15_000) });
  console.log(response.status, (await response.text()).trim());
  server.closeAllConnections();
} finally {
  await listening.close();
  await close();
}
