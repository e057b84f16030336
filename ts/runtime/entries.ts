/**
 * The first hops of an earlier run: a client that drew anew at each start would meet every relay in time.
 *
 * Invariant: what the file holds is node ids, or it counts as none.
 */
import { isNodeId } from '../base/hex.js';
import type { Store } from '../base/ports.js';

const FILE = 'entries.json';

export class KeptEntries {
  readonly #store: Store;
  #ids: readonly string[] = [];
  #writing: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  get ids(): readonly string[] {
    return this.#ids;
  }

  async load(): Promise<void> {
    const bytes = await this.#store.read(FILE);
    if (bytes === null) return;
    try {
      const found: unknown = JSON.parse(new TextDecoder().decode(bytes));
      if (Array.isArray(found) && found.every((id) => typeof id === 'string' && isNodeId(id))) this.#ids = found;
    } catch {
      // What nobody can read is drawn anew.
    }
  }

  /** One write after the other; what fails is tried again at the next change. */
  keep(ids: readonly string[]): void {
    this.#ids = ids;
    const bytes = new TextEncoder().encode(JSON.stringify(ids));
    this.#writing = this.#writing.then(() => this.#store.write(FILE, bytes)).catch(() => {});
  }

  /** Once what is under way is written. */
  async settled(): Promise<void> {
    await this.#writing;
  }
}
