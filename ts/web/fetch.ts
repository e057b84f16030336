/**
 * `fetch` over flows, for where there is no HTTP client that takes a socket: HTTP/1.1 to `http://` origins, a connection each.
 *
 * Invariant: nothing of the request goes any other way than through the flow; a flow ends with its body, whole or not.
 */
import { UsageError, WayfareError } from '../base/errors.js';
import type { DialedConnection, HostTarget } from '../runtime/dial.js';
import { bodyReader } from './body.js';
import { framingOf, type Head, readHead } from './head.js';
import { ByteSource } from './source.js';

const REDIRECTS_MAX = 20;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** A response of these may have no body at all (Fetch, "null body status"). */
const NULL_BODY = new Set([204, 205, 304]);

/** Opens a flow; `signal` breaks it off. */
export type Dial = (target: HostTarget, options: { signal?: AbortSignal }) => DialedConnection;

export type FetchInit = Omit<RequestInit, 'redirect'> & {
  /** Default `manual`: a redirect is an answer like any other. */
  redirect?: 'manual' | 'follow' | 'error';
};

export async function fetchOver(dial: Dial, input: string | URL | Request, init: FetchInit = {}): Promise<Response> {
  const redirect = init.redirect ?? 'manual';
  let request = new Request(input, { ...init, redirect: 'manual' });
  for (let i = 0; i <= REDIRECTS_MAX; i++) {
    const body = await bodyOf(request);
    const response = await once(dial, request, body);
    const location = response.headers.get('location');
    if (redirect === 'manual' || !REDIRECTS.has(response.status) || location === null) return response;
    await response.body?.cancel();
    if (redirect === 'error') throw new WayfareError('fetch_redirected', 'the origin redirects');
    request = redirected(request, response.status, new URL(location, request.url), body);
  }
  throw new WayfareError('fetch_redirected', `the origin redirects more than ${REDIRECTS_MAX} times`);
}

async function bodyOf(request: Request): Promise<Uint8Array<ArrayBuffer> | null> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  return bytes.length === 0 && !['POST', 'PUT', 'PATCH'].includes(request.method) ? null : bytes;
}

/** As Fetch says: 303, and 301 or 302 after POST, become GET. Credentials do not go to another origin. */
function redirected(from: Request, status: number, to: URL, body: Uint8Array<ArrayBuffer> | null): Request {
  const asGet = from.method !== 'HEAD' && (status === 303 || (status < 303 && from.method === 'POST'));
  const headers = new Headers(from.headers);
  if (new URL(from.url).origin !== to.origin) headers.delete('authorization');
  if (asGet) headers.delete('content-type');
  const method = asGet ? 'GET' : from.method;
  return new Request(to, { method, headers, body: asGet ? null : body, signal: from.signal, redirect: 'manual' });
}

async function once(dial: Dial, request: Request, body: Uint8Array | null): Promise<Response> {
  const url = new URL(request.url);
  if (url.protocol !== 'http:') {
    throw new UsageError('unsupported', `fetch speaks http, not ${url.protocol.slice(0, -1)}`, {
      hint: 'on Node.js, node.fetch() speaks https as well',
    });
  }
  const { signal } = request;
  signal.throwIfAborted();
  const target = { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 80 : Number(url.port) };
  const flow = dial(target, { signal });
  try {
    const sending = send(flow, headText(request, url, body), body);
    // A server may answer before it has read all; then its answer counts.
    sending.catch(() => {});
    const source = new ByteSource(flow.readable);
    const head = await readHead(source);
    return responseOf(request, head, source, flow);
  } catch (error) {
    await flow.close();
    throw reasonOf(signal, error);
  }
}

async function send(flow: DialedConnection, head: Uint8Array, body: Uint8Array | null): Promise<void> {
  const writer = flow.writable.getWriter();
  await writer.write(head);
  // The direction stays open: some servers take its end for the client's.
  if (body !== null) await writer.write(body);
}

function headText(request: Request, url: URL, body: Uint8Array | null): Uint8Array {
  const lines = [`${request.method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`];
  for (const [name, value] of request.headers) {
    if (!['host', 'connection', 'content-length', 'transfer-encoding', 'accept-encoding'].includes(name))
      lines.push(`${name}: ${value}`);
  }
  // Nothing here would undo a coding.
  lines.push('accept-encoding: identity', 'connection: close');
  if (body !== null) lines.push(`content-length: ${body.length}`);
  const text = `${lines.join('\r\n')}\r\n\r\n`;
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function responseOf(request: Request, head: Head, source: ByteSource, flow: DialedConnection): Response {
  const next = bodyReader(source, framingOf(request.method, head));
  const empty = NULL_BODY.has(head.status) || request.method === 'HEAD';
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          const piece = await next();
          if (piece !== null) return controller.enqueue(piece as Uint8Array<ArrayBuffer>);
          controller.close();
        } catch (error) {
          controller.error(reasonOf(request.signal, error));
        }
        await flow.close();
      },
      cancel: () => flow.close(),
    },
    { highWaterMark: 0 },
  );
  if (empty) void flow.close();
  const { status, statusText, fields } = head;
  const response = new Response(empty ? null : body, { status, statusText, headers: fields });
  Object.defineProperty(response, 'url', { value: request.url });
  return response;
}

/** What the caller's signal says, where that is why. */
function reasonOf(signal: AbortSignal, error: unknown): unknown {
  return signal.aborted ? signal.reason : error;
}
