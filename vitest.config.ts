import { defineConfig, type TestProjectConfiguration } from 'vitest/config';

/** What a test needs is in the end of its file's name, and only that is started for it. */
const postgres = 'test/support/setup-postgres.ts';
const temporal = 'test/support/setup-temporal.ts';
const files = 'test/support/setup-files.ts';
const command = 'test/support/setup-command.ts';
const scale = 'test/**/*.scale.e2e.test.ts';
const withServers = ['test/**/*.{pg,workflow,e2e,files}.test.ts'];

export default defineConfig({
  test: {
    pool: 'forks',
    // Most of a test's time is spent in the servers, on the same cores.
    maxWorkers: 3,
    reporters: ['default', './test/support/totals-reporter.ts'],
    projects: [
      project('unit', { include: ['test/**/*.test.ts'], exclude: withServers }),
      project('pg', { include: ['test/**/*.pg.test.ts'], globalSetup: [postgres] }),
      project('workflow', { include: ['test/**/*.workflow.test.ts'], globalSetup: [temporal] }),
      project('files', { include: ['test/**/*.files.test.ts'], globalSetup: [files] }),
      project('e2e', {
        include: ['test/**/*.e2e.test.ts'],
        exclude: [scale],
        globalSetup: [command, postgres, temporal, files],
        timeoutMs: 15 * 60_000,
      }),
      project('scale', {
        include: [scale],
        globalSetup: [command, postgres, temporal],
        timeoutMs: 60 * 60_000,
      }),
    ],
  },
});

interface ProjectOptions {
  readonly include: string[];
  readonly exclude?: string[];
  readonly globalSetup?: string[];
  /** Only a net under a test that hangs: the same test takes three times as long where others share the machine. */
  readonly timeoutMs?: number;
}

function project(name: string, options: ProjectOptions): TestProjectConfiguration {
  const { timeoutMs, ...files } = options;
  return {
    extends: true,
    test: { name, ...files, testTimeout: timeoutMs ?? 5 * 60_000, hookTimeout: timeoutMs ?? 5 * 60_000 },
  };
}
