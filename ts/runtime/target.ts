/** Where a dial goes: a destination, or a node that listens. */
import { UsageError } from '../base/errors.js';
import { isNodeId } from '../base/hex.js';

/** A TCP destination that an exit connects to. */
export interface HostTarget {
  /** A name, which the exit resolves, or an address. `<id>.wayfare` is the node of this id. */
  host: string;
  /** A TCP port, 1 to 65535. */
  port: number;
}

/** A node that listens; see `node.listen()`. */
export interface NodeTarget {
  /** Its id, 64 hex digits. */
  node: string;
  /** A port that it listens at, 1 to 65535. */
  port: number;
}

/** Where to. */
export type DialTarget = HostTarget | NodeTarget;

/** A target that can be. */
export interface CheckedTarget {
  host: string;
  port: number;
  /** The node that must be the last hop. */
  node: string | undefined;
}

const NODE_NAME = /^(.*)\.wayfare\.?$/i;

/** The name under which a node's own streams are asked for. */
export const nodeName = (id: string): string => `${id}.wayfare`;

/** Throws `argument_invalid`. */
export function checkPort(port: unknown, what: string): void {
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535)
    throw new UsageError('argument_invalid', `${what} needs a port from 1 to 65535, not ${port}`);
}

/** Throws `argument_invalid`. */
export function checkTarget(target: DialTarget, self: string): CheckedTarget {
  const given = 'node' in target ? nodeName(target.node) : target.host;
  if (typeof given !== 'string' || given.length === 0)
    throw new UsageError('argument_invalid', 'dial needs a host: a name or an address');
  checkPort(target.port, 'dial');
  const node = NODE_NAME.exec(given)?.[1]?.toLowerCase();
  if (node === undefined) return { host: given, port: target.port, node };
  if (!isNodeId(node)) throw new UsageError('argument_invalid', 'what names a node there is no id: 64 hex digits');
  if (node === self) throw new UsageError('argument_invalid', 'this is the node itself');
  return { host: nodeName(node), port: target.port, node };
}
