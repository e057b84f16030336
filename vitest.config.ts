import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'ts',
          include: ['ts/**/*.test.ts', 'scripts/**/*.test.ts'],
          setupFiles: ['ts/testing/chance.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 0 },
          // Whole networks run in single tests, some against a clock; two at a time would measure each other.
          maxWorkers: 1,
        },
      },
      {
        // Separate processes and real clients (tests/), after the rest and one file at a time.
        test: {
          name: 'system',
          include: ['tests/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
        },
      },
    ],
  },
});
