/** `wayfare sim credits` on 10,000 nodes: seconds for each scenario on one core. */
import { SCENARIOS } from '../ts/credits/scenarios.js';
import { createNativeCredit } from '../ts/platform/native-credit.js';
import type { Measurement, Row } from './rows.js';

const NODES = 10_000;

export const credits: Measurement = {
  name: 'credits',
  title: 'every scenario of the credit system on 10,000 nodes',
  async run() {
    const rows: Row[] = [];
    const rounds: Record<string, unknown> = {};
    for (const { name, run } of SCENARIOS) {
      const start = process.hrtime.bigint();
      const { nodes, connections, virtual_s } = run({
        create: createNativeCredit,
        seed: 1,
        nodes: NODES,
        progress: () => {},
      });
      const took_s = Number(process.hrtime.bigint() - start) / 1e9;
      rows.push({ name: `credits_${name.replaceAll('-', '_')}`, unit: 's', ours: took_s });
      rounds[name] = { took_s, nodes, connections, virtual_s };
    }
    return { rows, rounds };
  },
};
