/** A figure that a simulation is held to, and what was found. */
export interface Figure {
  name: string;
  value: number;
  least?: number;
  most?: number;
  held: boolean;
  /** What else belongs to it. */
  note?: string;
}

export function figure(name: string, value: number, limit: { least?: number; most?: number }, note?: string): Figure {
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = limit;
  // What is no number is not held.
  return { name, value, ...limit, held: value >= least && value <= most, ...(note !== undefined && { note }) };
}
