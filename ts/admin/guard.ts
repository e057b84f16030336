/**
 * Who may ask: docs/threats.md, row 21. A page that the owner's browser shows can reach loopback, so every request is held against
 * three things a page cannot forge together: the Host it was sent to (DNS rebinding), the Origin it came from, the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export type Verdict = { status: 200 } | { status: 401 | 403; code: string; message: string };

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Names under which this port may be addressed. */
export function ownHosts(port: number): Set<string> {
  return new Set(['127.0.0.1', '[::1]', 'localhost'].map((host) => `${host}:${port}`));
}

export interface GuardedRequest {
  host: string | undefined;
  origin: string | undefined;
  fetchSite: string | undefined;
  authorization: string | undefined;
}

/** `token` null: a path that tells nothing and needs none. */
export function judge(request: GuardedRequest, port: number, token: string | null): Verdict {
  const hosts = ownHosts(port);
  const host = request.host?.toLowerCase();
  if (host === undefined || !hosts.has(host)) {
    return { status: 403, code: 'host_refused', message: `the Host header must be one of ${[...hosts].join(', ')}` };
  }
  const origin = request.origin?.toLowerCase();
  if (origin !== undefined && !(origin.startsWith('http://') && hosts.has(origin.slice('http://'.length)))) {
    return { status: 403, code: 'origin_refused', message: 'requests of other origins are refused' };
  }
  if (request.fetchSite !== undefined && !['same-origin', 'none'].includes(request.fetchSite)) {
    return { status: 403, code: 'origin_refused', message: 'requests of other sites are refused' };
  }
  if (token === null) return { status: 200 };
  const given = /^Bearer (\S+)$/i.exec(request.authorization ?? '')?.[1];
  if (given === undefined || !timingSafeEqual(digest(given), digest(token))) {
    return {
      status: 401,
      code: 'token_refused',
      message: 'send "Authorization: Bearer TOKEN" with the token of data_dir/admin-token',
    };
  }
  return { status: 200 };
}
