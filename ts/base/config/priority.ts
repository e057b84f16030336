/** How a rule of `credit.priorities` is written; what it means is in ts/credit. */
export const PRIORITY = /^(inlet|user|port|host)\s+(\S+)\s*=\s*(\d+)$/;

export function isPriority(text: string): boolean {
  const [, what, value] = PRIORITY.exec(text.trim()) ?? [];
  return what !== undefined && (what !== 'port' || isPort(Number(value)));
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535;
