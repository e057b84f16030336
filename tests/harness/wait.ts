/**
 * Waiting for what another process does: look, and look again, until a deadline. Nothing here waits for time to pass
 * instead of for a thing to happen.
 */
import { setTimeout as pause } from 'node:timers/promises';

const LOOK_AGAIN_MS = 25;

/** Resolves with the first answer of `look` that is neither undefined nor false; after the deadline, fails naming `what`. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  deadline_ms = 10_000,
): Promise<T> {
  const end_ms = performance.now() + deadline_ms;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end_ms) {
      throw new Error(`${what}: not within ${deadline_ms} ms`, last === undefined ? undefined : { cause: last });
    }
    await pause(LOOK_AGAIN_MS);
  }
}

/** The promise, or a failure naming `what` after the deadline. */
export async function within<T>(what: string, deadline_ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadline_ms} ms`)), deadline_ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
