import { expect, it } from 'vitest';
import { exitRules } from './rules.js';

it('keeps loopback and port 25 shut unless the operator says otherwise', () => {
  expect(exitRules()).toEqual({ allowLoopback: false, denyPorts: [25], deny: [], allow: [], drop: [] });
  expect(exitRules({ allow_loopback: true, deny_ports: [] })).toMatchObject({ allowLoopback: true, denyPorts: [] });
  for (const port of [0, 65536, 1.5]) expect(() => exitRules({ deny_ports: [port] })).toThrow(`deny_ports has ${port}`);
});
