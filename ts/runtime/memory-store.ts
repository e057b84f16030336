/** A store that forgets: for nodes without a data directory. */
import type { Store } from '../base/ports.js';

export class MemoryStore implements Store {
  readonly #files = new Map<string, Uint8Array>();

  async read(name: string): Promise<Uint8Array | null> {
    return this.#files.get(name)?.slice() ?? null;
  }

  async write(name: string, data: Uint8Array): Promise<void> {
    this.#files.set(name, data.slice());
  }

  async remove(name: string): Promise<void> {
    this.#files.get(name)?.fill(0);
    this.#files.delete(name);
  }

  async list(): Promise<string[]> {
    return [...this.#files.keys()].sort();
  }
}
