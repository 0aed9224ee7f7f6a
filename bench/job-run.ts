import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { submit } from '../cli/client.ts';
import { readJobFiles } from '../cli/job-files.ts';
import type { BuiltWorker } from './built-worker.ts';
import { resetPeak, usageOf } from './process-usage.ts';
import type { Stage } from './stage.ts';
import { type Stages, stagesOf } from './stages.ts';

export interface JobSpec {
  readonly table: string;
  readonly verify: 'none' | 'count' | 'digest';
  readonly parallel: number;
  readonly createTables: boolean;
}

export interface Measured {
  readonly wallSeconds: number;
  /** Of the worker process during the run; null where /proc is missing. */
  readonly cpuSeconds: number | null;
  readonly peakMB: number | null;
  readonly rows: number;
  /** COPY bytes, by the worker's own count. */
  readonly bytes: number;
  /** Null for what is not a job. */
  readonly stages: Stages | null;
  readonly workflowId?: string;
}

let runs = 0;

export async function runJob(stage: Stage, worker: BuiltWorker, spec: JobSpec): Promise<Measured> {
  return await runDefinition(stage, worker, yamlOf(spec));
}

/** Submits a job by the code of `syncline run` and waits for its result; a run that skipped anything is an error. */
export async function runDefinition(stage: Stage, worker: BuiltWorker, text: string): Promise<Measured> {
  runs += 1;
  const file = join(stage.folder, `job-${String(runs)}.yaml`);
  await writeFile(file, text);
  const [submittable] = readJobFiles([file]);
  if (submittable === undefined) throw new Error('The job file holds no job.');
  resetPeak(worker.pid);
  const before = usageOf(worker.pid);
  const startedAt = performance.now();
  const submitted = await submit(stage.temporal, submittable);
  const result = await submitted.result();
  const wallSeconds = (performance.now() - startedAt) / 1_000;
  const after = usageOf(worker.pid);
  if (result?.state !== 'done' || result.chunks.skipped > 0)
    throw new Error(`The job ended as ${JSON.stringify(result)}.`);
  return {
    wallSeconds,
    cpuSeconds: before === null || after === null ? null : after.cpuSeconds - before.cpuSeconds,
    peakMB: after === null ? null : after.peakBytes / 1e6,
    rows: result.rows,
    bytes: result.bytes,
    stages: await stagesOf(stage.temporal, submitted.workflowId),
    workflowId: submitted.workflowId,
  };
}

function yamlOf({ table, verify, parallel, createTables }: JobSpec): string {
  return `kind: copy
name: bench-${String(runs + 1)}
source: { store: source, tables: [${table}] }
target: { store: target, mode: replace, createTables: ${String(createTables)} }
run: { parallel: ${String(parallel)}, verify: ${verify} }
`;
}
