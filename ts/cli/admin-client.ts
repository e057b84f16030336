/** Asks the node that runs on a data directory, over its admin port. */
import { readFile } from 'node:fs/promises';
import { readAddress } from '../admin/token.js';
import { errorOf, SystemError } from '../base/errors.js';

export class AdminClient {
  readonly #address: string;
  readonly #token: string;

  private constructor(address: string, token: string) {
    this.#address = address;
    this.#token = token;
  }

  static async of(dataDir: string): Promise<AdminClient> {
    const found = await readAddress(dataDir);
    if (found === null) {
      throw new SystemError('admin_unreachable', `no node runs on ${dataDir}`, {
        hint: 'start one with `wayfare up`, or name its folder with --data-dir or its file with --config',
      });
    }
    const token = await readFile(found.token_file, 'utf8').catch((cause) => {
      throw new SystemError('permission_denied', `the admin token ${found.token_file} cannot be read`, {
        cause,
        hint: cause.message,
      });
    });
    return new AdminClient(found.address, token.trim());
  }

  async ask<T>(path: string, body?: unknown): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`http://${this.#address}${path}`, {
        headers: {
          Authorization: `Bearer ${this.#token}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
        ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      });
    } catch (cause) {
      throw new SystemError('admin_unreachable', `the node's admin port at ${this.#address} does not answer`, {
        cause,
        hint: 'did the node end without cleaning up? start it again with `wayfare up`',
      });
    }
    const answer = (await response.json().catch(() => ({}))) as { error?: { code: string; message: string } };
    if (!response.ok) {
      throw errorOf(
        answer.error?.code ?? 'admin_refused',
        answer.error?.message ?? `the node answered ${response.status}`,
      );
    }
    return answer as T;
  }
}
