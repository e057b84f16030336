/** Plain TCP from the client to the origin: what the hosts, the load and the origin could do with nothing between them. */
import type { Peer } from './peer.js';

export const direct: Peer = {
  name: 'plain',
  title: 'TCP straight to the origin, nothing between',
  everywhere: true,
  async bring() {
    return 'the kernel';
  },
  async start() {
    return { proxy: 'direct', processes: [] };
  },
};
