import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

/**
 * Code without its inline source map. A bundle is parsed by every worker and lives in every cached workflow. The SDK's half of it
 * is 480 kB; three kinds of jobs are the rest.
 */
const budgetBytes = 900_000;

let code: string;

beforeAll(async () => {
  const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
  const bundle = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  code = bundle.code.replace(/^\/\/# sourceMappingURL=.*$/mu, '');
});

describe('the workflow bundle', () => {
  it('holds the workflows', () => {
    expect(code).toContain('./workflows/copy.ts');
    expect(code).toContain('./workflows/launch.ts');
  });

  it.each(['zod', 'yaml', 'pino', 'pg', 'commander'])('holds nothing of %s', (name) => {
    expect(code).not.toContain(`node_modules/${name}/`);
  });

  it.each(['stores', 'activities', 'worker', 'cli', 'definitions/schema'])(
    'holds nothing of %s/',
    (folder) => {
      expect(code).not.toContain(`"./${folder}/`);
    },
  );

  it('stays within its budget', () => {
    expect(code.length).toBeLessThan(budgetBytes);
  });
});
