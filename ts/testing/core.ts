/** What every binding's kernels must do, against published vectors: the same suite natively and in WebAssembly. */
import { describe, expect, test } from 'vitest';
import { fromHex as hex, toHex as text } from '../base/hex.js';
import type { Core } from '../core/core.js';

/** `vectors`: a file printed by the packet model, of all suites. */
export function coreSuite(name: string, core: Core, vectors: string): void {
  describe(`the kernels, ${name}`, () => {
    test('Ed25519 is RFC 8032, section 7.1, test 1', () => {
      const seed = hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
      const key = core.identityPublic(seed);
      expect(text(key)).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
      const signature = core.sign(seed, new Uint8Array());
      expect(text(signature)).toBe(
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
      );
      expect(core.verify(key, new Uint8Array(), signature)).toBe(true);
      expect(core.verify(key, new Uint8Array(1), signature)).toBe(false);
      expect(core.verify(key.subarray(1), new Uint8Array(), signature)).toBe(false);
      expect(() => core.sign(seed.subarray(1), seed)).toThrow(expect.objectContaining({ code: 'argument_invalid' }));
    });

    test('vectors of the packet model are reproduced, and a changed one is named', () => {
      const { cases, suites } = core.checkVectors(vectors);
      expect(cases).toBe(JSON.parse(vectors).length);
      expect(suites).toEqual(['aes128gcm', 'aes256gcm', 'chacha20poly1305']);
      const changed = JSON.parse(vectors);
      const body: string = changed[1].forward.bodies[1];
      changed[1].forward.bodies[1] = (body.startsWith('0') ? '1' : '0') + body.slice(1);
      expect(() => core.checkVectors(JSON.stringify(changed))).toThrow(/vector 1/);
      expect(() => core.checkVectors('[]')).toThrow(expect.objectContaining({ code: 'check_failed' }));
      expect(new Set(core.reasons()).size).toBe(core.reasons().length);
    });
  });
}
