/** The status line of a network that runs, drawn again each second while standard error is a terminal. */
import type { Network } from './network.js';

const EVERY_MS = 1000;

const clock = (ms: number) => {
  const s = Math.floor(ms / 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
};

export function rate(bytes_per_s: number): string {
  const bits = bytes_per_s * 8;
  if (bits >= 1e9) return `${(bits / 1e9).toFixed(2)} Gbit/s`;
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(1)} Mbit/s`;
  return `${(bits / 1e3).toFixed(1)} kbit/s`;
}

interface Sample {
  at_ms: number;
  down: number;
  up: number;
}

async function line(network: Network, last: Sample): Promise<[string, Sample]> {
  const { uptime_ms, host, path } = await network.client.status();
  const now: Sample = { at_ms: performance.now(), down: host.client.bytes_in, up: host.client.bytes_out };
  const seconds = Math.max(0.001, (now.at_ms - last.at_ms) / 1000);
  const names = path.map((hop) => network.member(hop.id)?.name ?? '?').join(' → ');
  const parts = [
    clock(uptime_ms),
    `${network.members.length} nodes`,
    `${host.client.flows_open} flows`,
    `↓ ${rate((now.down - last.down) / seconds)} ↑ ${rate((now.up - last.up) / seconds)}`,
    names === '' ? 'no path yet' : `client → ${names}`,
  ];
  return [parts.join(' · '), now];
}

/** Draws until the returned function is called. */
export function liveLine(network: Network, stream: NodeJS.WriteStream): () => void {
  if (stream.isTTY !== true) return () => {};
  let last: Sample = { at_ms: performance.now(), down: 0, up: 0 };
  let busy = false;
  const draw = async () => {
    if (busy) return;
    busy = true;
    try {
      const [text, now] = await line(network, last);
      last = now;
      stream.write(`\r\x1b[2K${text.slice(0, (stream.columns ?? 80) - 1)}`);
    } catch {
      // The network is closing.
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void draw(), EVERY_MS);
  return () => {
    clearInterval(timer);
    stream.write('\r\x1b[2K');
  };
}
