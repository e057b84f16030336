/**
 * A node's part in the credit system: accounts over restarts, what its own circuits announce, and what others may ask
 * (docs/credits.md). The counting is the host's.
 *
 * Invariant: accounts are on disk before neighbours are told of them.
 */
import type { AccountStore, Price, Reputation, StoredAccount } from '../base/credit.js';
import type { Descriptor } from '../base/directory.js';
import { asWayfareError, WayfareError } from '../base/errors.js';
import type { Clock, Log, Random } from '../base/ports.js';
import type { Route } from '../circuit/pool.js';
import type { NodeHost } from '../core/host.js';
import type { CircuitCredits, KeptAccount, NeighbourCredits, NodeCredits } from '../core/node-credits.js';
import { every } from '../core/timing.js';
import { additionLines } from '../credit/additions.js';
import type { Purse } from '../credit/budget.js';
import { OwnFlows } from '../credit/flows.js';
import { AccountKeeper } from '../credit/keeper.js';
import { type FlowAsked, Priorities } from '../credit/priorities.js';
import { type AccountsReport, type CreditsReport, describeCredits } from '../credit/report.js';
import { flowClassOf, withFlowClass } from '../egress/isolation.js';
import type { Protocols } from '../session/protocols.js';
import type { Session } from '../transport/session.js';
import { Circles, QUOTES_PROTOCOL } from './circles.js';
import type { CreditNodeOptions } from './options.js';

const LOOK_EVERY_MS = 10_000;
const FRESH_MS = 1000;
/** Credits per second: the smallest class covers the rent of any one table (docs/decisions/0011-credits.md). */
const FLOW_DEFAULT = 1000;
const KEPT_TO_ITSELF = new WayfareError('control_malformed', 'this node keeps its values to itself');
/** Neighbours whose totals are remembered after they left. */
const REMEMBERED_MAX = 10_000;

export interface CreditSideParts {
  self: string;
  host: NodeHost;
  clock: Clock;
  random: Random;
  log: Log;
  options: CreditNodeOptions;
  /** Where accounts outlive the process; without one they do not. */
  store?: AccountStore;
  /** This node's circuits, those built ahead included. */
  routes(): readonly Route[];
  /** This node's own descriptor, `null` for one that serves nobody, and others'. */
  descriptor(): Descriptor | null;
  descriptorOf(id: string): Descriptor | undefined;
  session(peer: string): Session | undefined;
  protocols: Protocols;
}

/** Totals of a neighbour from before its books here began. */
interface Before {
  earned: number;
  spent: number;
}

export class CreditSide {
  readonly #parts: CreditSideParts;
  readonly #priorities: Priorities;
  readonly #flows: OwnFlows;
  readonly #keeper: AccountKeeper | null;
  readonly #circles: Circles | null;
  readonly #before = new Map<string, Before>();
  #now: NodeCredits | null = null;
  #last: NodeCredits | null = null;
  #peers = new Map<string, NeighbourCredits>();
  #read_ms = Number.NEGATIVE_INFINITY;
  #restored = false;
  #stop: () => void = () => {};

  /** What neighbours have done for this node, less what they have had of it. */
  readonly reputation: Reputation = {
    of: (peer) => {
      this.#refresh();
      const { earned, spent } = this.#totals(peer);
      return earned - spent;
    },
  };

  readonly price: Price = {
    load: (peer) => this.#refresh().get(peer)?.price ?? 0,
    gain: (from, to) => {
      const peers = this.#refresh();
      return 2 ** ((peers.get(from)?.value ?? 0) - (peers.get(to)?.value ?? 0));
    },
  };

  constructor(parts: CreditSideParts) {
    this.#parts = parts;
    const { host, options, clock, log, store } = parts;
    this.#priorities = new Priorities(options.priorities ?? [], options.flow ?? FLOW_DEFAULT);
    this.#flows = new OwnFlows({
      circuits: () =>
        parts.routes().map(({ key, circuit }) => ({
          id: circuit.id,
          peer: circuit.path[0] as string,
          // One that is built ahead is for what is usual.
          class: (key === undefined ? undefined : flowClassOf(key)) ?? this.#priorities.usual,
        })),
      begun: this.#priorities.usual,
      purse: (peer) => this.#purse(peer),
      announce: (circuit, flowClass) => {
        try {
          host.circuitFlow(circuit, flowClass);
        } catch (error) {
          // It has ended meanwhile.
          log.debug('a circuit announces nothing', { code: asWayfareError(error).code });
        }
      },
    });
    this.#circles =
      options.circles === false ? null : new Circles({ ...parts, accounts: () => [...this.#refresh().values()] });
    parts.protocols.handle(QUOTES_PROTOCOL, (_, stream) => {
      const answered = this.#circles === null ? Promise.reject(KEPT_TO_ITSELF) : this.#circles.answer(stream);
      answered.catch((error) => stream.writable.abort(error)).catch(() => {});
    });
    this.#keeper =
      store === undefined
        ? null
        : new AccountKeeper({
            store,
            clock,
            accounts: () => this.#accounts(),
            report: () => host.creditsReport(),
          });
  }

  /** Opens the accounts that were kept, and says what is added. When the host has started, before links are up. */
  open(): void {
    const { host, options } = this.#parts;
    if (options.add !== undefined && options.add.length > 0) host.creditsAdd(additionLines(options.add));
    this.#restored = true;
    if (this.#keeper === null) return;
    const { accounts: kept, ago_ms } = this.#keeper.restored();
    for (const { peer, earned, spent } of kept) this.#before.set(peer, { earned, spent });
    const numbers = kept.flatMap((a) => [a.account, a.mirror, a.contributed, a.value, a.expected]);
    host.creditsRestore(
      ago_ms * 1000,
      kept.map(({ peer }) => peer),
      Float64Array.from(numbers),
    );
  }

  start(): void {
    this.#circles?.start();
    const { clock, log } = this.#parts;
    this.#stop = every(
      clock,
      () => LOOK_EVERY_MS,
      () => {
        try {
          this.#save();
        } catch (error) {
          log.error('accounts were not saved', { code: asWayfareError(error).code });
        }
        this.#flows.apply();
      },
    );
  }

  /** Looks at the accounts, keeps them, and tells neighbours. */
  #save(): void {
    if (this.#keeper === null) {
      this.#look();
      this.#parts.host.creditsReport();
    } else {
      this.#keeper.save();
    }
  }

  /** A circuit is somebody's from now on, or was replaced. */
  used(): void {
    this.#flows.apply();
  }

  /** The class that circuits announce from their set-up on: busy relays let nobody in who announces nothing. */
  get usual(): number {
    return this.#priorities.usual;
  }

  /** The isolation key of a flow: as it is, or, where its priority is not the usual one, with a circuit of its own. */
  keyFor(isolation: string, flow: FlowAsked): string {
    const flowClass = this.#priorities.classFor(flow);
    return flowClass === this.#priorities.usual ? isolation : withFlowClass(isolation, flowClass);
  }

  report(): CreditsReport {
    const circuits = JSON.parse(this.#parts.host.creditsCircuits()) as CircuitCredits[];
    return { ...this.accounts(), circuits, circle: this.#circles?.running ?? null };
  }

  /** Asks neighbours what they value credits at, and goes on with the circle that runs or looks for one. Done once a minute. */
  async seekCircle(): Promise<void> {
    await this.#circles?.look();
  }

  /** Without circuits, of which there may be many. */
  accounts(): AccountsReport {
    const now = this.#read();
    // Compared with the look before the last, so that it covers more than a moment.
    const before = this.#last ?? this.#now;
    return describeCredits(now, before, ({ peer }) => this.reputation.of(peer));
  }

  close(): void {
    this.#stop();
    this.#circles?.close();
    // What was never read is not to be written over.
    this.#keeper?.close(this.#restored);
  }

  /** Reads all accounts. */
  #read(): NodeCredits {
    const now = JSON.parse(this.#parts.host.credits()) as NodeCredits;
    const gone = new Set(this.#peers.keys());
    for (const { peer } of now.neighbours) gone.delete(peer);
    for (const peer of gone) this.#remember(peer);
    this.#peers = new Map(now.neighbours.map((neighbour) => [neighbour.peer, neighbour]));
    this.#read_ms = this.#parts.clock.monotonic_ms();
    return now;
  }

  /** Neighbours as they were a second ago at most: who chooses paths asks often. */
  #refresh(): Map<string, NeighbourCredits> {
    if (this.#parts.clock.monotonic_ms() - this.#read_ms > FRESH_MS) this.#read();
    return this.#peers;
  }

  #look(): void {
    this.#last = this.#now;
    this.#now = this.#read();
  }

  /** Its books here end with its link: they go on from their sums. */
  #remember(peer: string): void {
    const totals = this.#totals(peer);
    this.#before.delete(peer);
    this.#before.set(peer, totals);
    const oldest = this.#before.keys().next().value;
    if (this.#before.size > REMEMBERED_MAX && oldest !== undefined) this.#before.delete(oldest);
  }

  #totals(peer: string): Before {
    const { earned, spent } = this.#before.get(peer) ?? { earned: 0, spent: 0 };
    const books = this.#peers.get(peer)?.books;
    return { earned: earned + (books?.earned ?? 0), spent: spent + (books?.spent ?? 0) };
  }

  #purse(peer: string): Purse | undefined {
    const neighbour = this.#peers.get(peer);
    return neighbour === undefined ? undefined : { credits: neighbour.mirror, increase: neighbour.expected };
  }

  #accounts(): StoredAccount[] {
    this.#look();
    const accounts = JSON.parse(this.#parts.host.creditsExport()) as KeptAccount[];
    return accounts.map((account) => ({ ...account, ...this.#totals(account.peer) }));
  }
}
