/** One flow of the plan, checked byte for byte while it runs. */
import { asWayfareError } from '../base/errors.js';
import type { WayfareNode } from '../runtime/node.js';
import { Pattern } from './pattern.js';
import type { FlowPlan } from './plan.js';
import type { VirtualTime } from './time.js';

const WRITE_BYTES = 8 * 1024;

/** `done`, or the code of the error that it ended with. */
export type Outcome = string;

export async function runFlow(
  client: WayfareNode,
  plan: FlowPlan,
  time: VirtualTime,
  fault: (what: string) => void,
): Promise<Outcome> {
  const { kind, key, bytes, isolation } = plan;
  const host =
    kind === 'refused' ? 'refused.test' : kind === 'echo' ? `echo-${key}.test` : `bytes-${key}-${bytes}.test`;
  const abort = new AbortController();
  if (plan.abort_ms !== undefined) time.schedule(plan.abort_ms * 1000, () => abort.abort());
  const pattern = new Pattern(key);
  try {
    const flow = client.dial(
      { host, port: 80 },
      { signal: abort.signal, ...(isolation !== undefined && { isolation }) },
    );
    await flow.opened;
    if (kind === 'refused') fault('a refused connection was opened');
    const writing = kind === 'echo' ? send(flow.writable, pattern, plan, time) : flow.writable.close();
    writing.catch(() => {});
    const reader = flow.readable.getReader();
    let received = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const at = pattern.firstDifference(received, value);
      if (at >= 0) fault(`flow ${key}: byte ${at} of ${bytes} is another than was sent`);
      received += value.length;
      if (received > bytes) fault(`flow ${key}: ${received} bytes came where ${bytes} were sent`);
      // Of an echo the writer sets the pace.
      if (kind === 'bytes' && plan.pace !== undefined) await pause(time, plan.pace.pause_ms);
    }
    await writing;
    await flow.closed;
    if (received !== bytes) fault(`flow ${key}: ended well after ${received} of ${bytes} bytes`);
    return 'done';
  } catch (error) {
    const { code } = asWayfareError(error);
    if (code === 'internal') fault(`flow ${key}: ${String(error)}`);
    return code;
  }
}

async function send(
  writable: WritableStream<Uint8Array>,
  pattern: Pattern,
  { bytes, pace }: FlowPlan,
  time: VirtualTime,
): Promise<void> {
  const writer = writable.getWriter();
  const piece = pace?.bytes ?? WRITE_BYTES;
  for (let at = 0; at < bytes; at += piece) {
    await writer.write(pattern.bytes(at, Math.min(piece, bytes - at)));
    if (pace !== undefined) await pause(time, pace.pause_ms);
  }
  await writer.close();
}

function pause(time: VirtualTime, ms: number): Promise<void> {
  return new Promise((resolve) => {
    time.schedule(ms * 1000, resolve);
  });
}
