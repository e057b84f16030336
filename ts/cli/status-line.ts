/** One step's progress on standard error: redrawn on a terminal, two plain lines elsewhere. */

const REDRAW_MS = 100;

export class Status {
  readonly #stream: NodeJS.WriteStream;
  readonly #label: string;
  readonly #started_ms = performance.now();
  #drawn_ms = 0;

  constructor(stream: NodeJS.WriteStream, label: string) {
    this.#stream = stream;
    this.#label = label;
    if (!this.#live) stream.write(`… ${label}\n`);
  }

  get #live(): boolean {
    return this.#stream.isTTY === true;
  }

  detail(text: string): void {
    const now_ms = performance.now();
    if (!this.#live || now_ms - this.#drawn_ms < REDRAW_MS) return;
    this.#drawn_ms = now_ms;
    this.#stream.write(`\r\x1b[2K${`… ${this.#label} · ${text}`.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  }

  done(): void {
    this.#end('✓');
  }

  failed(): void {
    this.#end('✗');
  }

  #end(mark: string): void {
    const seconds = ((performance.now() - this.#started_ms) / 1000).toFixed(1);
    this.#stream.write(`${this.#live ? '\r\x1b[2K' : ''}${mark} ${this.#label} · ${seconds} s\n`);
  }
}
