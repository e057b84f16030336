/** Node's HTTP clients and `fetch` through a network, against Node's own HTTP servers. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer, json, text } from 'node:stream/consumers';
import { setGlobalDispatcher, Agent as UndiciAgent } from 'undici';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { selfSigned } from '../../tests/harness/certificate.js';
import { createNode } from '../platform/node.js';
import { startNetwork, type TestNetwork } from '../testing/network.js';
import type { WayfareNode } from './node.js';

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const certificate = selfSigned();
const content = randomBytes(2_000_000);

interface Seen {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  /** The port that the connection came from. */
  port: number;
}

interface Server extends AsyncDisposable {
  url: string;
  host: string;
  port: number;
  /** Connections so far. */
  connections: number;
}

/** Answers with what it was asked, with 2 MB under /content, and never under /silence. */
async function startServer(secure = false): Promise<Server> {
  const answer: http.RequestListener = async (request, response) => {
    if (request.url === '/silence') return;
    if (request.url === '/content') return void response.end(content);
    const body = (await buffer(request)).toString('latin1');
    const { method, url, headers, socket } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, body, port: socket.remotePort }));
  };
  const server = secure ? https.createServer(certificate, answer) : http.createServer(answer);
  const made = { connections: 0 };
  server.on('connection', () => {
    made.connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const host = secure ? 'localhost' : '127.0.0.1';
  return {
    url: `${secure ? 'https' : 'http'}://${host}:${port}`,
    host,
    port,
    get connections() {
      return made.connections;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

let network: TestNetwork;
let node: WayfareNode;
let plain: Server;
let secure: Server;
beforeAll(async () => {
  [network, plain, secure] = await Promise.all([startNetwork(3, 2), startServer(), startServer(true)]);
  node = network.client;
});
afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
  await Promise.all([plain, secure].map((server) => server?.[Symbol.asyncDispose]()));
});

async function get(url: string, options: https.RequestOptions): Promise<http.IncomingMessage> {
  const request = url.startsWith('https:') ? https.get(url, options) : http.get(url, options);
  const [response] = await once(request, 'response');
  return response as http.IncomingMessage;
}

/** undici uses a connection again in the turn after. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Connections that an agent keeps: at least one, once it has taken back what a response has just let go. */
async function kept(agent: http.Agent): Promise<unknown[]> {
  const free = () => Object.values(agent.freeSockets).flat();
  for (let turns = 0; free().length === 0 && turns < 10_000; turns++) await turn();
  return free();
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error('it succeeded');
    },
    (error) => error,
  );

describe('an agent', () => {
  test('keeps a connection for the next request; another agent takes none of them', async () => {
    await using server = await startServer();
    await using agent = node.agent();
    const ports = new Set<number>();
    for (let i = 0; i < 3; i++) ports.add(((await json(await get(server.url, { agent }))) as Seen).port);
    expect(ports.size).toBe(1);
    await using other = node.agent({ isolation: 'other', keepAlive: false });
    for (let i = 0; i < 2; i++) ports.add(((await json(await get(server.url, { agent: other }))) as Seen).port);
    expect(ports.size).toBe(3);
    expect(server.connections).toBe(3);
  });

  test('carries bodies both ways, chunked and counted, many at a time', async () => {
    await using agent = node.agent({ maxSockets: 4 });
    const ask = async (i: number) => {
      const body = randomBytes(10_000 * (i + 1)).toString('hex');
      const request = http.request(`${plain.url}/${i}`, { agent, method: 'POST' });
      // Two writes: chunked. One: counted.
      if (i % 2 === 0) request.write(body.slice(0, 10));
      request.end(i % 2 === 0 ? body.slice(10) : body);
      const [response] = await once(request, 'response');
      const seen = (await json(response)) as Seen;
      expect([seen.method, seen.url, seen.body === body]).toEqual(['POST', `/${i}`, true]);
      expect(Object.keys(seen.headers)).toContain(i % 2 === 0 ? 'transfer-encoding' : 'content-length');
      return seen.port;
    };
    const ports = await Promise.all(Array.from({ length: 16 }, (_, i) => ask(i)));
    expect(new Set(ports).size).toBe(4);
    expect(sha256(await buffer(await get(`${plain.url}/content`, { agent })))).toBe(sha256(content));
  });

  test('for https checks the certificate inside the circuit: TLS ends at the destination', async () => {
    await using trusting = node.httpsAgent({ tls: { ca: certificate.cert } });
    const response = await get(secure.url, { agent: trusting });
    expect(((await json(response)) as Seen).headers.host).toBe(`localhost:${secure.port}`);
    expect(await kept(trusting)).toHaveLength(1);
    expect(sha256(await buffer(await get(`${secure.url}/content`, { agent: trusting })))).toBe(sha256(content));
    expect(await kept(trusting)).toHaveLength(1);
    await using strict = node.httpsAgent();
    expect(await failure(get(secure.url, { agent: strict }))).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    // A request's own authorities count, as with every https.Agent.
    expect((await get(secure.url, { agent: strict, ca: certificate.cert })).statusCode).toBe(200);
    // The certificate names no such host.
    const misnamed = get(`https://127.0.0.2:${secure.port}`, { agent: trusting });
    expect(['ERR_TLS_CERT_ALTNAME_INVALID', 'exit_connect_failed']).toContain((await failure(misnamed)).code);
  });

  test('times a silent destination out, and lets a request be aborted', async () => {
    await using agent = node.agent();
    const request = http.get(`${plain.url}/silence`, { agent, timeout: 100 });
    const error = once(request, 'error').catch((caught) => [caught]);
    await once(request, 'timeout');
    request.destroy(new Error('too slow'));
    expect((await error)[0]).toMatchObject({ message: 'too slow' });
    const abort = new AbortController();
    const aborted = get(`${plain.url}/silence`, { agent, signal: abort.signal });
    abort.abort();
    expect(await failure(aborted)).toMatchObject({ name: 'AbortError' });
    const all = new AbortController();
    await using signalled = node.agent({ signal: all.signal });
    const broken = get(`${plain.url}/silence`, { agent: signalled });
    all.abort();
    expect(await failure(broken)).toMatchObject({ code: 'aborted' });
  });

  test('fails requests with the code of the cause, and reaches no socket of this machine', async () => {
    await using agent = node.agent();
    expect(await failure(get('http://127.0.0.1:25/', { agent }))).toMatchObject({ code: 'exit_port_denied' });
    expect(await failure(get('http://10.0.0.1/', { agent }))).toMatchObject({ code: 'exit_address_denied' });
    const local = get('http://local/', { agent, socketPath: '/nonexistent' });
    expect(await failure(local)).toMatchObject({ code: 'argument_invalid' });
  });

  test('that is closed ends its connections, and a closed node fails its requests', async () => {
    await using own = await startNetwork(2, 1, { hops: 2 });
    await using server = await startServer();
    const agent = own.client.agent();
    await text(await get(server.url, { agent }));
    expect(await kept(agent)).toHaveLength(1);
    const running = failure(get(`${server.url}/silence`, { agent }));
    await agent.close();
    expect(await running).toBeInstanceOf(Error);
    const after = own.client.agent();
    await own.client.close();
    expect(await failure(get(server.url, { agent: after }))).toMatchObject({ code: 'closed' });
  });
});

describe('fetch', () => {
  test('gets, and streams what is long', async () => {
    const response = await node.fetch(`${plain.url}/a?b=c`, { headers: { 'x-test': 'yes' } });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ method: 'GET', url: '/a?b=c', headers: { 'x-test': 'yes' } });
    const parts: Uint8Array[] = [];
    for await (const part of (await node.fetch(`${plain.url}/content`)).body ?? []) parts.push(part);
    expect(parts.length).toBeGreaterThan(1);
    expect(sha256(Buffer.concat(parts))).toBe(sha256(content));
  });

  test('sends whatever a body may be, Node’s own classes too', async () => {
    const post = async (body: unknown, more = {}) =>
      (await (await node.fetch(plain.url, { method: 'POST', body: body as string, ...more })).json()) as Seen;
    expect((await post('text')).body).toBe('text');
    expect((await post(new Uint8Array([65, 66]))).body).toBe('AB');
    expect((await post(new URLSearchParams({ a: '1' }))).body).toBe('a=1');
    const stream = new Blob(['from ', 'a stream']).stream();
    expect((await post(stream, { duplex: 'half' })).body).toBe('from a stream');
    const form = new FormData();
    form.append('field', 'value');
    form.append('file', new File(['in a file'], 'name.txt', { type: 'text/plain' }));
    const sent = await post(form);
    expect(sent.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    for (const part of ['name="field"', 'value', 'filename="name.txt"', 'in a file']) expect(sent.body).toContain(part);
    const request = new Request(plain.url, { method: 'PUT', body: 'of a Request', headers: { 'x-own': '1' } });
    const seen = (await (await node.fetch(request)).json()) as Seen;
    expect(seen).toMatchObject({ method: 'PUT', body: 'of a Request', headers: { 'x-own': '1' } });
  });

  test('follows redirects through the network', async () => {
    const server = http.createServer((_, response) => response.writeHead(302, { location: plain.url }).end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const response = await node.fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      expect([response.redirected, response.url]).toEqual([true, `${plain.url}/`]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('speaks https, with a dispatcher that knows the authority', async () => {
    const dispatcher = node.dispatcher({ tls: { ca: certificate.cert } });
    {
      await using _ = dispatcher;
      const response = await node.fetch(secure.url, { dispatcher });
      expect(await response.json()).toMatchObject({ headers: { host: `localhost:${secure.port}` } });
    }
    expect((await failure(node.fetch(secure.url, { dispatcher }))).cause).toMatchObject({ code: 'UND_ERR_DESTROYED' });
    await dispatcher[Symbol.asyncDispose]();
    const error = await failure(node.fetch(secure.url));
    expect(error.cause).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  test('keeps isolation keys on connections of their own', async () => {
    const port = async (isolation?: string) => {
      const response = await node.fetch(plain.url, isolation === undefined ? {} : { isolation });
      const seen = (await response.json()) as Seen;
      await turn();
      return seen.port;
    };
    const [a, again, b, none] = [await port('a'), await port('a'), await port('b'), await port()];
    expect(a).toBe(again);
    expect(new Set([a, b, none]).size).toBe(3);
  });

  test('keeps few of many keys, and closes what it lets go', async () => {
    const single = await startNetwork(2, 1, { hops: 1 });
    await using _ = single;
    await using server = await startServer();
    const ask = async (isolation: string) => {
      await (await single.client.fetch(server.url, { isolation })).text();
      await turn();
    };
    for (let i = 0; i < 70; i++) await ask(`${i}`);
    expect(server.connections).toBe(70);
    await ask('69');
    expect(server.connections).toBe(70);
    await ask('0');
    expect(server.connections).toBe(71);
  });

  test('says why it failed, and can be aborted', async () => {
    const cause = async (url: string) => {
      const error = await failure(node.fetch(url));
      expect(error).toBeInstanceOf(TypeError);
      return error.cause.code;
    };
    expect(await cause('http://10.0.0.1/')).toBe('exit_address_denied');
    expect(await cause('http://name.invalid/')).toBe('exit_name_unresolved');
    const abort = new AbortController();
    const aborted = failure(node.fetch(`${plain.url}/silence`, { signal: abort.signal }));
    abort.abort(new Error('enough'));
    expect(await aborted).toMatchObject({ message: 'enough' });
  });

  test('leaves by no other way: foreign dispatchers are refused, the global one is ignored', async () => {
    const foreign = new UndiciAgent();
    expect(await failure(node.fetch(plain.url, { dispatcher: foreign }))).toMatchObject({ code: 'argument_invalid' });
    let used = 0;
    setGlobalDispatcher(
      new UndiciAgent({
        connect: () => {
          used += 1;
        },
      }),
    );
    try {
      expect((await node.fetch(plain.url)).status).toBe(200);
      expect(used).toBe(0);
    } finally {
      setGlobalDispatcher(foreign);
    }
  });

  test('ends with the node', async () => {
    const own = await startNetwork(2, 1, { hops: 2 });
    const waiting = failure(own.client.fetch(`${plain.url}/silence`));
    await (await own.client.fetch(plain.url)).text();
    await own[Symbol.asyncDispose]();
    expect(await waiting).toBeInstanceOf(Error);
    expect(await failure(own.client.fetch(plain.url))).toMatchObject({ code: 'closed' });
  });
});

test('whatever failed or was closed above has let go of its flow', async () => {
  const own = await startNetwork(2, 1, { hops: 2 });
  await using _ = own;
  const agent = own.client.httpsAgent();
  for (const url of [secure.url, `${plain.url.replace('http:', 'https:')}/`, 'https://10.0.0.1/'])
    await failure(get(url, { agent }));
  await failure(own.client.fetch(secure.url));
  const abort = new AbortController();
  const aborted = failure(own.client.fetch(`${plain.url}/silence`, { signal: abort.signal }));
  await vi.waitFor(async () => expect((await own.client.status()).host.client.flows_open).toBeGreaterThan(0), 10_000);
  abort.abort();
  await aborted;
  await agent.close();
  await vi.waitFor(async () => expect((await own.client.status()).host.client.flows_open).toBe(0), 10_000);
});

describe('a listener', () => {
  test('serves HTTP and HTTPS to clients that know its id alone', async () => {
    const [relay] = network.relays;
    await using listening = await createNode({
      roles: ['listener'],
      listen: ['127.0.0.1:0'],
      bootstrap: [{ id: relay?.id as string, address: relay?.addresses[0] as string }],
    });
    const hello: http.RequestListener = (request, response) =>
      response.end(`${request.method} ${request.headers.host} from ${request.socket.remoteAddress}`);
    const plainServer = http.createServer(hello);
    const secureServer = https.createServer(certificate, hello);
    await using onPlain = listening.listenNode({ port: 80 }, (stream) => plainServer.emit('connection', stream));
    await using onSecure = listening.listenNode({ port: 443 }, (stream) => secureServer.emit('connection', stream));
    expect([onPlain.address, onSecure.address]).toEqual([`${listening.id}.wayfare:80`, `${listening.id}.wayfare:443`]);
    await node.find(listening.id, { signal: AbortSignal.timeout(10_000) });
    const host = `${listening.id}.wayfare`;
    const response = await node.fetch(`http://${host}/`);
    // Whoever asks is unknown.
    expect(await response.text()).toBe(`GET ${host} from undefined`);
    await using agent = node.agent();
    for (let i = 0; i < 2; i++) {
      expect(await text(await get(`http://${host}/`, { agent }))).toContain(host);
      expect(await kept(agent)).toHaveLength(1);
    }
    const tls = { ca: certificate.cert, servername: 'localhost' };
    await using secured = node.httpsAgent({ tls });
    expect(await text(await get(`https://${host}/`, { agent: secured, ...tls }))).toContain(host);
    plainServer.closeAllConnections();
    secureServer.closeAllConnections();
  });
});
