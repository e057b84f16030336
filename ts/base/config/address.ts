/** Addresses as people write them: `ip:port`, `[ip6]:port`, `host:port`, `ip/bits`. Pure text, no resolver. */

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const HOST =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;

export interface HostPort {
  host: string;
  port: number;
}

export const isIpv4 = (text: string): boolean => IPV4.test(text);

export const isIpv6 = (text: string): boolean => ipv6Words(text) !== null;

/** The eight words of an IPv6 address, however it is abbreviated; null for what is none. */
export function ipv6Words(text: string): number[] | null {
  if (!/^[0-9a-f:.]+$/i.test(text) || text.split('::').length > 2) return null;
  const dotted = text.slice(text.lastIndexOf(':') + 1);
  const tail = dotted.includes('.');
  if (tail && !isIpv4(dotted)) return null;
  const [a = 0, b = 0, c = 0, d = 0] = tail ? dotted.split('.').map(Number) : [];
  const hex = (high: number, low: number) => ((high << 8) | low).toString(16);
  const plain = tail ? `${text.slice(0, -dotted.length)}${hex(a, b)}:${hex(c, d)}` : text;
  const [head = '', rest] = plain.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':'));
  const [front, back] = [words(head), words(rest ?? '')];
  const missing = 8 - front.length - back.length;
  if (![...front, ...back].every((word) => /^[0-9a-f]{1,4}$/i.test(word))) return null;
  if (rest === undefined ? missing !== 0 : missing <= 0) return null;
  return [...front, ...Array<string>(missing).fill('0'), ...back].map((word) => Number.parseInt(word, 16));
}

/** Splits `host:port` and `[ip6]:port`; null when it is neither, or the port is not in 0..65535. */
export function splitHostPort(text: string): HostPort | null {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (found === null) return null;
  const port = Number(found[3]);
  if (port > 65535 || (found[1] !== undefined && !isIpv6(found[1]))) return null;
  return { host: found[1] ?? found[2]!, port };
}

export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function isIpPort(text: string): boolean {
  const parts = splitHostPort(text);
  return parts !== null && (isIpv4(parts.host) || isIpv6(parts.host));
}

export function isHostPort(text: string): boolean {
  const parts = splitHostPort(text);
  return parts !== null && parts.port > 0 && (isIpv4(parts.host) || isIpv6(parts.host) || HOST.test(parts.host));
}

/**
 * Whether it is `name:port` of a DNS name with a dot in it, so that it can be nothing but one: no IP address in any spelling that
 * the URL standard knows (`127.1`, `1.0x7f`), and no machine of whoever asks (`localhost`).
 */
export function isNamePort(text: string): boolean {
  const parts = splitHostPort(text);
  return parts !== null && parts.port > 0 && HOST.test(parts.host) && /\.[a-z][a-z0-9-]*$/i.test(parts.host);
}

/** Whether `ip:port` lies in 127.0.0.0/8 or is ::1. */
export function isLoopback(text: string): boolean {
  const host = splitHostPort(text)?.host ?? '';
  if (isIpv4(host)) return host.startsWith('127.');
  return isIpv6(host) && /^(?:0{0,4}:)*:?0{0,3}1$/.test(host) && !/[1-9a-f]/i.test(host.slice(0, -1));
}

export function isCidr(text: string): boolean {
  const found = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (found === null) return false;
  const bits = Number(found[2]);
  return (isIpv4(found[1]!) && bits <= 32) || (isIpv6(found[1]!) && bits <= 128);
}
