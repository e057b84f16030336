/** How unevenly something is spread. */

/** Gini's coefficient: 0 where all have the same, (n − 1)/n where one has everything. */
export function gini(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  let sum = 0;
  let ranked = 0;
  for (let i = 0; i < sorted.length; i++) {
    sum += sorted[i] as number;
    ranked += (i + 1) * (sorted[i] as number);
  }
  return sum === 0 ? 0 : (2 * ranked) / (sorted.length * sum) - (sorted.length + 1) / sorted.length;
}

/** Jain's index: 1 where all have the same, 1/n where one has everything. */
export function jain(values: ArrayLike<number>): number {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i] as number;
    squares += (values[i] as number) ** 2;
  }
  return squares === 0 ? 1 : sum ** 2 / (values.length * squares);
}
