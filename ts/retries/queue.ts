/** What is to happen, in order of time: a binary heap over flat arrays, so that an event costs no allocation. */
export class EventQueue<T> {
  #times = new Float64Array(1024);
  #orders = new Float64Array(1024);
  #kinds = new Int32Array(1024);
  readonly #items: T[] = [];
  #size = 0;
  #order = 0;

  get size(): number {
    return this.#size;
  }

  /** When the first is due; infinite where there is none. */
  get first_us(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  get firstKind(): number {
    return this.#kinds[0] as number;
  }

  /** Of equal times, in the order they were put in. */
  push(at_us: number, kind: number, item: T): void {
    if (this.#size === this.#times.length) this.#grow();
    let at = this.#size++;
    const order = this.#order++;
    const [times, orders, kinds, items] = [this.#times, this.#orders, this.#kinds, this.#items];
    while (at > 0) {
      const up = (at - 1) >> 1;
      const upTime = times[up] as number;
      if (upTime < at_us || (upTime === at_us && (orders[up] as number) < order)) break;
      times[at] = upTime;
      orders[at] = orders[up] as number;
      kinds[at] = kinds[up] as number;
      items[at] = items[up] as T;
      at = up;
    }
    times[at] = at_us;
    orders[at] = order;
    kinds[at] = kind;
    items[at] = item;
  }

  /** The first one's item. There must be one. */
  pop(): T {
    const [times, orders, kinds, items] = [this.#times, this.#orders, this.#kinds, this.#items];
    const first = items[0] as T;
    const last = --this.#size;
    const [time, order, kind, item] = [
      times[last] as number,
      orders[last] as number,
      kinds[last] as number,
      items[last],
    ];
    if (last === 0) return first;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= last) break;
      if (down + 1 < last && this.#before(down + 1, down)) down++;
      const downTime = times[down] as number;
      if (time < downTime || (time === downTime && order < (orders[down] as number))) break;
      times[at] = downTime;
      orders[at] = orders[down] as number;
      kinds[at] = kinds[down] as number;
      items[at] = items[down] as T;
      at = down;
    }
    times[at] = time;
    orders[at] = order;
    kinds[at] = kind;
    items[at] = item as T;
    return first;
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#times[a] as number, this.#times[b] as number];
    return x < y || (x === y && (this.#orders[a] as number) < (this.#orders[b] as number));
  }

  #grow(): void {
    const grown = <A extends Float64Array | Int32Array>(old: A, into: A): A => {
      into.set(old);
      return into;
    };
    const size = 2 * this.#times.length;
    this.#times = grown(this.#times, new Float64Array(size));
    this.#orders = grown(this.#orders, new Float64Array(size));
    this.#kinds = grown(this.#kinds, new Int32Array(size));
  }
}
