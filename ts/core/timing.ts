/** Waiting on the `Clock` port. Everything here that waits goes through these, so that virtual time drives it. */
import { AbortedError, WayfareError } from '../base/errors.js';
import type { Clock } from '../base/ports.js';

/** Calls `fn` once after `ms`; returns the way to call it off. */
export function after(clock: Clock, ms: number, fn: () => void): () => void {
  const timer = clock.setTimeout(fn, ms);
  return () => timer.cancel();
}

/** Calls `fn` again and again, `next_ms()` after the last call; returns the way to stop. */
export function every(clock: Clock, next_ms: () => number, fn: () => void): () => void {
  let cancel: () => void;
  const arm = () => {
    cancel = after(clock, next_ms(), () => {
      arm();
      fn();
    });
  };
  arm();
  return () => cancel();
}

export function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    after(clock, ms, resolve);
  });
}

/** The promise, or a `timeout` error after `ms`. What came too late goes to `onLate`. */
export function within<T>(
  clock: Clock,
  ms: number,
  what: string,
  promise: Promise<T>,
  onLate?: (value: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false;
    const cancel = after(clock, ms, () => {
      over = true;
      reject(new WayfareError('timeout', `${what} took longer than ${ms} ms`));
    });
    promise.then(
      (value) => {
        if (over) return onLate?.(value);
        cancel();
        resolve(value);
      },
      (error) => {
        if (over) return;
        cancel();
        reject(error);
      },
    );
  });
}

/** The promise, or an `aborted` error as soon as the signal says so. What came too late goes to `onLate`. */
export function unlessAborted<T>(
  signal: AbortSignal | undefined,
  what: string,
  promise: Promise<T>,
  onLate?: (value: T) => void,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(new AbortedError('aborted', `${what} was aborted`, { cause: signal.reason }));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise
      .then((value) => (signal.aborted ? onLate?.(value) : resolve(value)), reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}
