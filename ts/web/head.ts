/** The head of a response (RFC 9112, sections 4 and 5), read strictly: what a proxy and we could read differently is refused. */
import { type ByteSource, malformed } from './source.js';

const HEAD_BYTES_MAX = 64 * 1024;
const INTERIM_MAX = 8;

const STATUS = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;

export interface Head {
  status: number;
  statusText: string;
  /** Names in lower case, in the order they came. */
  fields: [string, string][];
}

/** The final response's head; interim ones (1xx) are passed over. */
export async function readHead(source: ByteSource): Promise<Head> {
  for (let i = 0; i < INTERIM_MAX; i++) {
    const head = await readOne(source);
    if (head.status >= 200) return head;
    if (head.status === 101) throw malformed('it changes the protocol unasked');
  }
  throw malformed('interim answers without end');
}

async function readOne(source: ByteSource): Promise<Head> {
  let left = HEAD_BYTES_MAX;
  const line = async () => {
    const text = await source.line(left);
    left -= text.length + 2;
    return text;
  };
  const [, status, statusText = ''] = STATUS.exec(await line()) ?? [];
  if (status === undefined) throw malformed('no status line');
  const fields: [string, string][] = [];
  for (;;) {
    const text = await line();
    if (text === '') return { status: Number(status), statusText, fields };
    const [, name, value] = FIELD.exec(text) ?? [];
    if (name === undefined || value === undefined) throw malformed('a header field that is none');
    fields.push([name.toLowerCase(), value.replace(/[\t ]+$/, '')]);
  }
}

/** How the body is delimited (RFC 9112, section 6.3). */
export type Framing = { kind: 'none' } | { kind: 'length'; bytes: number } | { kind: 'chunked' } | { kind: 'close' };

export function framingOf(method: string, { status, fields }: Head): Framing {
  const values = (name: string) =>
    fields.filter(([field]) => field === name).flatMap(([, value]) => value.split(',').map((part) => part.trim()));
  if (method === 'HEAD' || status === 204 || status === 304) return { kind: 'none' };
  const codings = values('transfer-encoding');
  const lengths = new Set(values('content-length'));
  if (codings.length > 0) {
    if (lengths.size > 0) throw malformed('two lengths for one body');
    if (codings.length !== 1 || codings[0]?.toLowerCase() !== 'chunked') throw malformed('a transfer coding unasked');
    return { kind: 'chunked' };
  }
  if (lengths.size === 0) return { kind: 'close' };
  const [length] = lengths;
  if (lengths.size > 1 || length === undefined || !/^[0-9]{1,15}$/.test(length))
    throw malformed('a length that is none');
  return { kind: 'length', bytes: Number(length) };
}
