/**
 * The kernels that Rust computes, the same natively and in WASM. Both bindings' generated types must satisfy `Core`.
 *
 * Bytes are copied in and out; nothing here keeps a view of a caller's buffer.
 */
export interface Core {
  version(): string;
  /** Ed25519 (RFC 8032): the public key of a 32-byte seed. */
  identityPublic(seed: Uint8Array): Uint8Array;
  sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** X-Wing public key (1216 bytes) of a 32-byte seed. */
  onionPublic(seed: Uint8Array): Uint8Array;
  /** Checks a file printed by the packet model byte for byte; throws naming the first difference. */
  checkVectors(json: string): { cases: number; suites: string[] };
  /** The names of all drop reasons, in the order of their codes. */
  reasons(): string[];
}
