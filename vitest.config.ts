import { defineConfig } from 'vitest/config';

/** Libs are imported as `#name`; under this condition that means their sources, so tests need no build. */
const conditions = ['@cestx/source'];

export default defineConfig({
  // Nest reads constructor types from the metadata that only legacy decorators emit.
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    // Servers started by tests die with the thread that started them (setpriv --pdeathsig), so: processes, not threads.
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{apps,libs}/**/*.spec.ts', 'scripts/**/*.spec.ts', 'docs/**/*.spec.ts'],
          // Pure as they are, on a machine that is busy with other things they may be slow.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
          exclude: ['**/*.int.spec.ts', '**/node_modules/**', '**/dist/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'int',
          include: ['{apps,libs}/**/*.int.spec.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // They start servers and containers: more at once would test the machine, not the code.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['e2e/**/*.e2e.spec.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
