/**
 * What a node tells as it happens: events of the web's kind, typed.
 *
 * Invariant: no event names a destination.
 */
import type { PathHop } from './options.js';

/** A circuit of this client's came, moved or went. */
export class PathEvent extends Event {
  /**
   * `made`: streams may go over it. `moved`: it was replaced under its streams, which go on. `lost`: it is gone, and streams that
   * were on it have ended with an error.
   */
  readonly change: 'made' | 'moved' | 'lost';
  /** Its hops, the first one first; where it was lost, those it had. */
  readonly path: PathHop[];

  constructor(change: PathEvent['change'], path: PathHop[]) {
    super('path');
    this.change = change;
    this.path = path;
  }
}

/** An exit entered or left the hop window of this client. */
export class HopEvent extends Event {
  /** `left`: no flow is given to it any more, those it has go on. */
  readonly change: 'entered' | 'left';
  /** The exit's id, 64 hex digits. */
  readonly exit: string;

  constructor(change: HopEvent['change'], exit: string) {
    super('hop');
    this.change = change;
    this.exit = exit;
  }
}

/** Something is held against an exit, for a while. */
export class VerdictEvent extends Event {
  /**
   * `blocked`: one destination does not answer through this exit, and does through others (`node.paths()` says which). `bad`: it is slow
   * or silent everywhere. `disappeared`: it, or every circuit to it, is gone.
   */
  readonly kind: 'bad' | 'blocked' | 'disappeared';
  /** The exit's id, 64 hex digits. */
  readonly exit: string;
  /** How long it holds, milliseconds. */
  readonly duration_ms: number;

  constructor(kind: VerdictEvent['kind'], exit: string, duration_ms: number) {
    super('verdict');
    this.kind = kind;
    this.exit = exit;
    this.duration_ms = duration_ms;
  }
}

/** A link to a neighbour came or went. */
export class PeerEvent extends Event {
  /** The neighbour's id, 64 hex digits. */
  readonly id: string;
  /** Why the link went, a code; `undefined` where it came. */
  readonly reason: string | undefined;

  constructor(type: 'peerup' | 'peerdown', id: string, reason?: string) {
    super(type);
    this.id = id;
    this.reason = reason;
  }
}

/** The events of a node by their names. */
export interface NodeEventMap {
  /** Once: a client can draw a path; any other node has started. Never before `createNode()` has resolved. */
  ready: Event;
  /** Once: the node is closed, and nothing of it runs. */
  closed: Event;
  /** A circuit of this client's was made, moved or lost. */
  path: PathEvent;
  /** An exit entered or left the window that this client's flows are spread over. */
  hop: HopEvent;
  /** Something is held against an exit, for a while. */
  verdict: VerdictEvent;
  /** A link to a neighbour is up. A neighbour may have two. */
  peerup: PeerEvent;
  /** A link to a neighbour is down. */
  peerdown: PeerEvent;
}

/** A function, or an object with `handleEvent`. */
export type NodeEventListener<E extends Event> =
  | ((event: E) => void)
  | {
      /** Called at each event. */
      handleEvent(event: E): void;
    };

/** As the web's own. */
export interface NodeEventListenerOptions {
  /** Takes the listener away after the first event. */
  once?: boolean;
  /** Takes the listener away when aborted. */
  signal?: AbortSignal;
}

/** An `EventTarget` that knows its events. */
export class NodeEventTarget extends EventTarget {
  /** Calls `listener` at each event of this type. */
  override addEventListener<K extends keyof NodeEventMap>(
    type: K,
    listener: NodeEventListener<NodeEventMap[K]> | null,
    options?: boolean | NodeEventListenerOptions,
  ): void {
    super.addEventListener(type, listener as Untyped, options);
  }

  /** No longer calls it. */
  override removeEventListener<K extends keyof NodeEventMap>(
    type: K,
    listener: NodeEventListener<NodeEventMap[K]> | null,
    options?: boolean | { capture?: boolean },
  ): void {
    super.removeEventListener(type, listener as Untyped, options);
  }
}

type Untyped = Parameters<EventTarget['addEventListener']>[1];
