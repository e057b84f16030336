/** HTTP/1.1 over flows: against Node's own server, and against whatever bytes a server might send. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { WayfareError } from '../base/errors.js';
import type { DialedConnection } from '../runtime/dial.js';
import { bodyReader } from './body.js';
import { fetchOver } from './fetch.js';
import { framingOf, readHead } from './head.js';
import { ByteSource } from './source.js';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A flow that is an ordinary TCP connection. */
const dial = (
  { host, port }: { host: string; port: number },
  { signal }: { signal?: AbortSignal },
): DialedConnection => {
  const socket = connect({ host, port });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const close = async () => void socket.destroy();
  signal?.addEventListener('abort', () => socket.destroy(new WayfareError('aborted', 'aborted')));
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      socket.on('data', (data) => controller.enqueue(new Uint8Array(data)));
      socket.on('end', () => controller.close());
      socket.on('error', (error) => controller.error(error));
    },
  });
  const writable = new WritableStream<Uint8Array>({
    write: (data) => new Promise((resolve) => socket.write(data, () => resolve())),
  });
  const opened = Promise.resolve({ local: '' });
  return { readable, writable, opened, closed, close, [Symbol.asyncDispose]: close };
};

async function server(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const http = createServer(answer);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    http.closeAllConnections();
    http.close();
  });
  return `http://127.0.0.1:${(http.address() as { port: number }).port}`;
}

async function text(request: IncomingMessage): Promise<string> {
  let all = '';
  for await (const chunk of request) all += chunk;
  return all;
}

describe('fetch over flows, from a server of Node', () => {
  test('gets bodies with a length, in chunks, until the end, and none', async () => {
    const base = await server((request, response) => {
      if (request.url === '/length') response.setHeader('content-length', 5).end('hello');
      if (request.url === '/chunks')
        for (const part of ['one ', 'two ', '']) part === '' ? response.end() : response.write(part);
      if (request.url === '/close') response.socket?.end('HTTP/1.0 200 OK\r\n\r\nuntil the end');
      if (request.url === '/none') response.writeHead(204).end();
    });
    const get = async (path: string) => {
      const response = await fetchOver(dial, base + path);
      return [response.status, await response.text(), response.url];
    };
    expect(await get('/length')).toEqual([200, 'hello', `${base}/length`]);
    expect(await get('/chunks')).toEqual([200, 'one two ', `${base}/chunks`]);
    expect(await get('/close')).toEqual([200, 'until the end', `${base}/close`]);
    expect(await get('/none')).toEqual([204, '', `${base}/none`]);
  });

  test('sends method, headers and body, and gives status and headers back', async () => {
    const base = await server(async (request, response) => {
      const seen = [request.method, request.url, request.headers['x-one'], request.headers.host, await text(request)];
      response.writeHead(418, 'I am a teapot', [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['x-two', '  2 '],
      ] as never);
      response.end(JSON.stringify(seen));
    });
    const response = await fetchOver(dial, `${base}/a%20b?c=d#e`, {
      method: 'POST',
      body: 'ü',
      headers: { 'x-one': '1' },
    });
    expect([response.status, response.statusText, response.ok]).toEqual([418, 'I am a teapot', false]);
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(response.headers.get('x-two')).toBe('2');
    expect(await response.json()).toEqual(['POST', '/a%20b?c=d', '1', new URL(base).host, 'ü']);
    const head = await fetchOver(dial, base, { method: 'HEAD' });
    expect([head.status, head.body]).toEqual([418, null]);
  });

  test('leaves redirects to the caller, follows them when asked, and refuses them when asked', async () => {
    const base = await server(async (request, response) => {
      if (request.url === '/post') response.writeHead(303, { location: '/there' }).end('moved');
      else if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end();
      else if (request.url === '/keep') response.writeHead(307, { location: '/there' }).end();
      else response.end(`${request.method} ${await text(request)}`);
    });
    const post = { method: 'POST', body: 'x' };
    expect((await fetchOver(dial, `${base}/post`, post)).status).toBe(303);
    expect(await (await fetchOver(dial, `${base}/post`, { ...post, redirect: 'follow' })).text()).toBe('GET ');
    expect(await (await fetchOver(dial, `${base}/keep`, { ...post, redirect: 'follow' })).text()).toBe('POST x');
    for (const init of [{ redirect: 'error' }, { redirect: 'follow' }] as const)
      await expect(fetchOver(dial, `${base}/loop`, init)).rejects.toMatchObject({ code: 'fetch_redirected' });
  });

  test('breaks off when told, before the answer and within it', async () => {
    const base = await server((request, response) => {
      if (request.url === '/part') response.write('part');
    });
    const silent = new AbortController();
    const waiting = fetchOver(dial, `${base}/silent`, { signal: silent.signal });
    silent.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    const within = new AbortController();
    const response = await fetchOver(dial, `${base}/part`, { signal: within.signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect((await reader.read()).value).toHaveLength(4);
    within.abort(new Error('enough'));
    await expect(reader.read()).rejects.toThrow('enough');
  });

  test('says what it cannot do', async () => {
    await expect(fetchOver(dial, 'https://127.0.0.1/')).rejects.toMatchObject({ code: 'unsupported' });
  });
});

/** What a response of these bytes is, cut at these places. */
async function parse(bytes: Uint8Array, cuts: number[], method = 'GET'): Promise<unknown> {
  const source = new ByteSource(cut(bytes, cuts));
  try {
    const head = await readHead(source);
    const next = bodyReader(source, framingOf(method, head));
    const body: number[] = [];
    for (let piece = await next(); piece !== null; piece = await next()) body.push(...piece);
    return { ...head, body };
  } catch (error) {
    if (error instanceof WayfareError && error.code === 'response_malformed') return error.message;
    throw error;
  }
}

function cut(bytes: Uint8Array, cuts: number[]): ReadableStream<Uint8Array> {
  const ends = [...new Set([...cuts.map((at) => at % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return new ReadableStream({
    start(controller) {
      let from = 0;
      for (const end of ends) {
        controller.enqueue(bytes.slice(from, end));
        from = end;
      }
      controller.close();
    },
  });
}

const ascii = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const cuts = fc.array(fc.nat(5000), { maxLength: 30 });
const body = fc.uint8Array({ maxLength: 2000 });

describe('a response', () => {
  test('is the same however its bytes are cut, and its body is what was sent', async () => {
    await fc.assert(
      fc.asyncProperty(
        body,
        cuts,
        fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1 }),
        async (data, at, sizes) => {
          const plain = Buffer.concat([
            ascii(`HTTP/1.1 200 OK\r\nContent-Length: ${data.length}\r\n\r\n`),
            data,
            ascii('more'),
          ]);
          expect(await parse(plain, at)).toMatchObject({ status: 200, body: [...data] });
          const chunks: Uint8Array[] = [ascii('HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n')];
          for (let from = 0, i = 0; from < data.length; i++) {
            const part = data.subarray(from, from + (sizes[i % sizes.length] as number));
            chunks.push(ascii(`${part.length.toString(16)};a="b"\r\n`), part, ascii('\r\n'));
            from += part.length;
          }
          chunks.push(ascii('0\r\ntrailer: x\r\n\r\n'));
          expect(await parse(Buffer.concat(chunks), at)).toMatchObject({ status: 200, body: [...data] });
        },
      ),
      { numRuns: 150 },
    );
  });

  test('of any bytes is an answer or a refusal, the same for any cuts', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'HTTP/1.1 200 OK',
        'HTTP/1.1 100 Continue',
        '\r\n',
        '\r\n\r\n',
        '\n',
        'content-length: ',
        '12',
        ', 12',
      ),
      fc.constantFrom(
        'transfer-encoding: chunked',
        'a: b',
        ' folded',
        '0\r\n\r\n',
        'f;x',
        '5\r\nhello\r\n',
        '-1',
        '\0',
      ),
      fc.string({ maxLength: 20, unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), cuts, fc.boolean(), async (pieces, at, begun) => {
        const bytes = ascii((begun ? 'HTTP/1.1 200 OK\r\n' : '') + pieces.join(''));
        expect(await parse(bytes, at)).toEqual(await parse(bytes, []));
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    ],
    ['a negative length', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
    ['a folded field', 'HTTP/1.1 200 OK\r\na: b\r\n c: d\r\n\r\n'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n'],
    ['bare LF', 'HTTP/1.1 200 OK\n\n'],
    ['a chunk longer than it says', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n'],
    ['an end within the body', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab'],
    ['a head without end', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(20_000)}\r\n`],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ])('with %s is refused', async (_, sent) => {
    expect(await parse(ascii(sent), [])).toMatch(/^the answer is no HTTP/);
  });
});
