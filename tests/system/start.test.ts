/** `npm start` as it is typed: its own set-up, ten nodes, and a self-check that says what happened on one line. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../harness/cli.js';
import { run } from '../harness/process.js';

/** The set-up has nothing left to do when these tests run; where it has, it may take its time. */
const DEADLINE_MS = 240_000;
const CONTENT = 64 * 1024 * 1024;

test(
  'npm start -- --check --json ends with 0 and one object alone on standard output',
  async () => {
    const { code, stdout, stderr } = await run(
      process.execPath,
      [join(ROOT, 'scripts', 'start.mjs'), '--check', '--json'],
      { cwd: ROOT, deadline_ms: DEADLINE_MS },
    );
    expect(code, stderr).toBe(0);
    const text = stdout.toString('utf8');
    expect(text.split('\n')).toEqual([expect.stringMatching(/^\{.*\}$/), '']);
    const check = JSON.parse(text);
    expect(check).toMatchObject({ schema: 'wayfare.check', version: 1, ok: true, failures: [], bytes: CONTENT });
    expect(check.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(check.sha256).toBe(check.sha256_expected);
    expect(check.hops.map((hop: { role: string }) => hop.role)).toEqual(['relay', 'relay', 'exit']);
    expect(new Set(check.hops.map((hop: { id: string }) => hop.id)).size).toBe(3);
    for (const hop of check.hops) {
      expect(hop.bytes, hop.name).toBeGreaterThanOrEqual(CONTENT);
      // No packet carries more than 16,238 bytes.
      expect(hop.packets, hop.name).toBeGreaterThanOrEqual(CONTENT / 16_238);
    }
    expect(check.origin_peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(check.exit_socket).toBe(check.origin_peer);
    expect(check.ttfb_ms).toBeGreaterThan(0);
    expect(check.throughput_mbit_per_s).toBeGreaterThan(0);
    expect(stderr).toContain('Self-check');
  },
  DEADLINE_MS + 10_000,
);
