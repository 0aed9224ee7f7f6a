import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import './provided.ts';

/** `host:port` of the run's Temporal server, namespace `default`. Shared: use your own task queue and job names. */
export function temporalAddress(): string {
  return provided('temporalAddress');
}

export function uniqueTaskQueue(): string {
  return `test-${randomBytes(6).toString('hex')}`;
}

/** A name for a job, and so for its workflow, that no other test uses. */
export function uniqueJobName(prefix = 'job'): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** For `Worker.create({ workflowBundle: workflowBundle() })`; built once per run from workflows/index.ts. */
export function workflowBundle(): { codePath: string } {
  const codePath = provided('workflowBundle');
  if (codePath === '')
    throw new Error(`The workflow bundle cannot be built: ${inject('workflowBundleFault')}`);
  return { codePath };
}

function provided(name: 'temporalAddress' | 'workflowBundle'): string {
  const value = inject(name) as string | undefined;
  if (value === undefined) {
    throw new Error('This test needs Temporal: name its file *.workflow.test.ts or *.e2e.test.ts.');
  }
  return value;
}
