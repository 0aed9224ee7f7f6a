import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { submit } from '../../cli/client.ts';
import { readJobFiles } from '../../cli/job-files.ts';
import { workflowIdOf } from '../../definitions/contracts/names.ts';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { pauseUpdate, removeUpdate, resumeUpdate, statusQuery } from '../../workflows/messages.ts';
import type { Stage } from '../stage.ts';
import type { Follower } from './follower.ts';

export interface LiveJob {
  readonly name: string;
  readonly tables: readonly string[];
}

/** A duplication from the store `source` to the store `target`, with what a job has that says nothing. */
export function synclineFollower(stage: Stage, { name, tables }: LiveJob): Follower {
  const handle = stage.temporal.client.workflow.getHandle(workflowIdOf('duplication', name));
  return {
    name: 'syncline',
    target: stage.target,
    begin: async () => {
      await submitJob(stage, { name, tables });
      await untilConsistent(stage, name);
    },
    stop: async () => {
      await handle.executeUpdate(pauseUpdate, { args: [{}] });
    },
    resume: async () => {
      await handle.executeUpdate(resumeUpdate, { args: [{}] });
    },
    end: async () => {
      await handle.executeUpdate(removeUpdate, { args: [{}] });
      await handle.result();
    },
  };
}

/** By the code of `syncline run`. */
export async function submitJob(stage: Stage, { name, tables }: LiveJob): Promise<void> {
  const file = join(stage.folder, `${name}.yaml`);
  const text = `kind: duplication
name: ${name}
source: { store: source, tables: [${tables.join(', ')}] }
target: target
`;
  await writeFile(file, text);
  const [submittable] = readJobFiles([file]);
  if (submittable === undefined) throw new Error('The job file holds no job.');
  await submit(stage.temporal, submittable);
}

/** Resolves when everything is loaded and the copy has been equal to one instant of the source. */
export async function untilConsistent(stage: Stage, name: string): Promise<JobStatus> {
  const handle = stage.temporal.client.workflow.getHandle(workflowIdOf('duplication', name));
  const deadline = performance.now() + 600_000;
  for (;;) {
    const { status } = await handle.describe();
    // A failed workflow says why only in its result.
    if (status.name !== 'RUNNING')
      throw new Error(`The job is over: ${JSON.stringify(await handle.result())}`);
    // Nobody answers while no worker lives.
    const seen = await handle.query(statusQuery).catch(() => null);
    if (seen !== null && seen.consistentAt !== null) return seen;
    if (seen?.state === 'stopped') throw new Error(`The job stopped: ${seen.reason ?? '?'}`);
    if (performance.now() > deadline)
      throw new Error(`The job did not become consistent: ${seen?.reason ?? 'no worker answers'}`);
    await delay(100);
  }
}
