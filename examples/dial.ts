/** Web streams: `node.dial()` gives a TCP connection from the exit to the destination. Run: node examples/dial.ts */
import { enter } from './network.ts';

const { node, url, close } = await enter();
try {
  const connection = node.dial(
    { host: url.hostname, port: Number(url.port || 80) },
    { signal: AbortSignal.timeout(15_000) },
  );
  const { local } = await connection.opened;
  const path = node.path().map((hop) => `${hop.role} ${hop.id.slice(0, 8)}`);
  console.log(`path: ${path.join(' → ')}, leaving from ${local}`);

  const writer = connection.writable.getWriter();
  const request = `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`;
  await writer.write(new TextEncoder().encode(request));
  for await (const chunk of connection.readable) process.stdout.write(chunk);
  await connection.close();
} finally {
  await close();
}
