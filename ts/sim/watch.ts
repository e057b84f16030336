/** An engine that is watched: what it was given against what it says became of it. */
import type { CreateEngine, EngineBinding } from '../core/engine.js';
import type { HostStats } from '../core/host.js';

interface Carried {
  packets_forward: number;
  packets_backward: number;
}

export interface EngineStats {
  relayed: Carried;
  exit: Carried;
  client: Carried;
  circuits: HostStats['circuits'];
  reader_bytes: number;
  drops: Record<string, number>;
}

/** Under what an arriving packet can be dropped. */
const ARRIVAL_DROPS = [
  'packet_truncated',
  'packet_size',
  'link_narrow',
  'packet_version',
  'circuit_unknown',
  'packet_replayed',
  'packet_forged',
  'key_worn',
  'forwarding_stopped',
  'half_lost',
  'link_gone',
];

export class EngineWatch {
  /** Datagrams handed in: whole packets, and halves. */
  whole = 0;
  halves = 0;
  #engine: EngineBinding | null = null;

  /** Makes engines that are watched here; the newest one counts. */
  watching(create: CreateEngine): CreateEngine {
    return (...parts) => {
      const engine = create(...parts);
      this.#engine = engine;
      this.whole = 0;
      this.halves = 0;
      const handlePackets: EngineBinding['handlePackets'] = (now_us, link, batch) => {
        this.#count(batch);
        engine.handlePackets(now_us, link, batch);
      };
      return { ...engine, handlePackets };
    };
  }

  stats(): EngineStats {
    if (this.#engine === null) throw new Error('there is no engine yet');
    return JSON.parse(this.#engine.stats());
  }

  /** Whole packets that came, and how many at least should be: passed on, delivered, or dropped for a reason. */
  accounts(): { came: number; told: number } {
    const { relayed, exit, client, drops } = this.stats();
    let told = relayed.packets_forward + relayed.packets_backward + exit.packets_forward + client.packets_backward;
    for (const reason of ARRIVAL_DROPS) told += drops[reason] ?? 0;
    return { came: this.whole, told };
  }

  #count(batch: Uint8Array): void {
    for (let at = 0; at < batch.length; ) {
      const length = ((batch[at] as number) << 8) | (batch[at + 1] as number);
      if (batch[at + 2] === 1) this.whole += 1;
      else this.halves += 1;
      at += 2 + length;
    }
  }
}
