// Rust's layers: nothing below the driver depends on an async runtime, sockets or a binding.
import { capture } from '../setup/exec.mjs';
import { root } from '../setup/paths.mjs';

const BELOW_DRIVER = [
  'types',
  'wire',
  'onion',
  'relay',
  'stats',
  'credit',
  'quic',
  'link',
  'webtransport',
  'exit',
  'proxy',
  'engine',
  'embed',
];
const FORBIDDEN = new Set(['tokio', 'quinn', 'quinn-udp', 'napi', 'napi-derive', 'wasm-bindgen', 'mio', 'socket2']);

/** Every dependency against the layers, as sentences. */
export function crateFaults() {
  const faults = [];
  for (const crate of BELOW_DRIVER) {
    const args = ['tree', '-p', `wayfare-${crate}`, '-e', 'normal', '--prefix', 'none', '--format', '{p}'];
    const tree = capture('cargo', args, { cwd: root });
    if (tree === null) return ['cargo tree does not run: see `cargo tree -p wayfare-engine`'];
    for (const line of tree.split('\n')) {
      const name = line.split(' ')[0];
      if (FORBIDDEN.has(name)) faults.push(`crates/${crate} depends on ${name}, which belongs above crates/engine`);
    }
  }
  return [...new Set(faults)];
}
