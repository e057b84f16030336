/**
 * A program with a proxy inside: `node.listenHttp()` and `node.listenSocks()`. Run: node examples/proxy.ts
 *
 * With arguments (see network.ts) it serves until Ctrl-C; on its own network it asks once through its HTTP proxy and ends.
 */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { enter } from './network.ts';

const { node, url, close } = await enter();
try {
  const http = await node.listenHttp({ listen: '127.0.0.1:0' });
  const socks = await node.listenSocks({ listen: '127.0.0.1:0' });
  console.log(`HTTP proxy ${http.address}, SOCKS5 proxy ${socks.address}`);
  if (process.argv.length > 2) {
    await once(process, 'SIGINT');
  } else {
    const [host, port] = http.address.split(':');
    const request = get({ host, port, path: url.href, headers: { host: url.host }, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    console.log(`${response.statusCode} ${(await text(response)).trim()}`);
  }
} finally {
  await close();
}
