// A page that is a node: it links to a relay by WebTransport, opens a circuit over three hops, and fetches through the exit.
import { createNode } from 'wayfare';

const show = (id, text) => {
  document.getElementById(id).textContent = text;
};

const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** Downloads through the network; what came, how fast, and over which nodes. */
async function download(node, url, isolation) {
  const began_ms = performance.now();
  const response = await node.fetch(url, { isolation });
  const total = Number(response.headers.get('content-length'));
  const bytes = new Uint8Array(total);
  let received = 0;
  for await (const piece of response.body) {
    bytes.set(piece, received);
    received += piece.length;
    document.getElementById('progress').value = received / total;
  }
  const took_s = (performance.now() - began_ms) / 1000;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { status: response.status, received, took_s, mbit_per_s: (received * 8) / took_s / 1e6, sha256 };
}

async function run() {
  // Who is in the network, and where to go: a real page would have its bootstrap peers written into it.
  const { bootstrap, url } = await (await fetch('network.json')).json();
  const peers = bootstrap.map(({ id, address, hashes, host }) => ({
    id,
    address,
    webtransport: { hashes: hashes.map(unhex) },
    // Where the network of the page's user lets no UDP through.
    ...(host !== undefined && { reliable: { host } }),
  }));
  const node = await createNode({ bootstrap: peers, wasm: 'wayfare_bg.wasm' });
  // For whoever looks around in the console.
  globalThis.node = node;
  show('state', 'Joining…');
  await node.ready(AbortSignal.timeout(20_000));
  const hops = await node.connect();
  const list = document.getElementById('path');
  for (const [role, id] of [['page', node.id], ...hops.map((hop) => [hop.role, hop.id])]) {
    const item = document.createElement('li');
    const [name, text] = [document.createElement('b'), document.createElement('code')];
    name.textContent = role;
    text.textContent = id;
    item.append(name, text);
    list.append(item);
  }
  show('state', `Fetching ${url} through ${hops.length} hops…`);
  let runs = 0;
  const again = async () => {
    document.getElementById('again').disabled = true;
    const result = await download(node, url, runs === 0 ? undefined : `run ${runs}`);
    runs += 1;
    show('state', `Fetched ${url} through ${hops.length} hops.`);
    show(
      'result',
      `${(result.received / 2 ** 20).toFixed(1)} MiB in ${result.took_s.toFixed(2)} s: ${result.mbit_per_s.toFixed(0)} Mbit/s.`,
    );
    document.getElementById('again').disabled = false;
    return result;
  };
  document.getElementById('again').onclick = again;
  return { id: node.id, hops, ...(await again()) };
}

// Whoever drives the page by hand or in a test can wait for it.
globalThis.done = run().catch((error) => {
  show('state', `${error.code ?? error.name}: ${error.sentence ?? error.message}`);
  throw error;
});
