/**
 * Who may share a circuit. A hop of the window is a path; flows of different isolation keys take circuits of their own over it, so
 * that what is learnt is shared and no exit can join two users by their circuit.
 */

/** Where a flow came from, as far as it keeps flows apart. */
export interface FlowOrigin {
  /** `socks`, `http`, `dial` and so on: what listens is kept apart as well. */
  inlet: string;
  user?: string | undefined;
  password?: string | undefined;
}

/** Equal for two flows if and only if inlet, user and password are. */
export const isolationKey = ({ inlet, user, password }: FlowOrigin): string =>
  JSON.stringify([inlet, user ?? null, password ?? null]);

/** A circuit announces one class of credits, so flows of another than the usual one take circuits of their own. */
export const withFlowClass = (key: string, flowClass: number): string => `flow:${flowClass}|${key}`;

/** The class in such a key; `undefined` in one without. */
export function flowClassOf(key: string): number | undefined {
  const [, flowClass] = /^flow:(\d)\|/.exec(key) ?? [];
  return flowClass === undefined ? undefined : Number(flowClass);
}
