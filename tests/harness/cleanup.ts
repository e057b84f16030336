/** What a test made and has to undo, undone in reverse order, each part even when another fails. */
export class Cleanup {
  readonly #undo: (() => unknown)[] = [];

  add(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  /** Keeps the thing and undoes it by `close()`. */
  keep<T extends { close(): unknown }>(thing: T): T {
    this.add(() => thing.close());
    return thing;
  }

  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'cleaning up failed');
  }
}
