/** Lines and pieces out of a stream of bytes. */
import { WayfareError } from '../base/errors.js';

const LF = 10;
const CR = 13;

export const malformed = (what: string) => new WayfareError('response_malformed', `the answer is no HTTP: ${what}`);

export class ByteSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader();
  }

  /** The next line without its CRLF, as Latin-1. Throws where it is longer than `bytesMax` or never ends. */
  async line(bytesMax: number): Promise<string> {
    let text = '';
    for (;;) {
      const end = this.#held.indexOf(LF);
      const part = end < 0 ? this.#held : this.#held.subarray(0, end);
      if (text.length + part.length > bytesMax) throw malformed('a line is too long');
      text += latin1(part);
      if (end >= 0) {
        this.#held = this.#held.subarray(end + 1);
        if (text.charCodeAt(text.length - 1) !== CR) throw malformed('a line ends without CR');
        return text.slice(0, -1);
      }
      if (!(await this.#more())) throw malformed('it ends inside a line');
    }
  }

  /** What there is, at most `bytesMax`; `null` at the end. */
  async some(bytesMax: number): Promise<Uint8Array | null> {
    if (this.#held.length === 0 && !(await this.#more())) return null;
    const part = this.#held.subarray(0, bytesMax);
    this.#held = this.#held.subarray(part.length);
    return part;
  }

  /** Takes a whole piece in place of what is used up. */
  async #more(): Promise<boolean> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) {
        this.#held = new Uint8Array(0);
        return false;
      }
      if (value.length === 0) continue;
      this.#held = value;
      return true;
    }
  }
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}
