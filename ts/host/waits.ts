/** Promises by number, settled by events that come later. */
export class Waits<T> {
  readonly #waits = new Map<number, { resolve(value: T): void; reject(error: unknown): void }>();

  add(id: number): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waits.set(id, { resolve, reject });
    });
  }

  /** Whether anybody waited. */
  resolve(id: number, value: T): boolean {
    const wait = this.#waits.get(id);
    this.#waits.delete(id);
    wait?.resolve(value);
    return wait !== undefined;
  }

  reject(id: number, error: unknown): boolean {
    const wait = this.#waits.get(id);
    this.#waits.delete(id);
    wait?.reject(error);
    return wait !== undefined;
  }

  rejectAll(error: unknown): void {
    for (const id of [...this.#waits.keys()]) this.reject(id, error);
  }
}
