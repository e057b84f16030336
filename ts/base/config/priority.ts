/** How rules of `credit.priorities` and `credit.add` are written; what they mean is in ts/credit. */
export const PRIORITY = /^(inlet|user|port|host)\s+(\S+)\s*=\s*(\d+)$/;

export function isPriority(text: string): boolean {
  const [, what, value] = PRIORITY.exec(text.trim()) ?? [];
  return what !== undefined && (what !== 'port' || isPort(Number(value)));
}

export const ADDITION = /^(?:(any)|(port|host)\s+(\S+))\s*=\s*(\d+)$/;

export function isAddition(text: string): boolean {
  const [, any, what, value] = ADDITION.exec(text.trim()) ?? [];
  return any !== undefined || what === 'host' || (what === 'port' && isPort(Number(value)));
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535;
