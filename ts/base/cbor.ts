/** CBOR from other nodes: what is not of its schema, or not written the one way, is refused as a whole. */
import { decode } from 'cborg';
import type { z } from 'zod';

const STRICT = {
  strict: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
  allowBigInt: false,
} as const;

/** `null`: it does not parse. Whoever calls has bounded its bytes. */
export function parseCbor<T>(data: Uint8Array, schema: z.ZodType<T>): T | null {
  let value: unknown;
  try {
    value = decode(data, STRICT);
  } catch {
    return null;
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : null;
}
