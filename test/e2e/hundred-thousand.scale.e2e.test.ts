import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../scripts/quickstart/table-digest.ts';
import { createDatabasePair } from '../support/postgres.ts';
import { temporalAddress, uniqueJobName, uniqueTaskQueue } from '../support/temporal.ts';
import { startWorkerProcess } from '../support/worker-process.ts';
import { type JobRun, openJobs } from './lab/job-run.ts';

const chunks = 100_000;
const rows = 2 * chunks;

/** Of all runs of the job: continue-as-new makes a chain of them, each naming the one before. */
async function historyLengths({ access, workflowId }: JobRun): Promise<number[]> {
  const lengths: number[] = [];
  let runId: string | null | undefined = (await access.client.workflow.getHandle(workflowId).describe())
    .runId;
  while (runId !== null && runId !== undefined && runId !== '') {
    const { events } = await access.client.workflow.getHandle(workflowId, runId).fetchHistory();
    lengths.push(events?.length ?? 0);
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  }
  return lengths;
}

test('one job copies a table in 100,000 slices, in runs below 4,000 events, and both sides are equal', async () => {
  const databases = await createDatabasePair();
  const { source, target } = databases;
  onTestFinished(() => databases.drop());
  await source.query(
    `CREATE TABLE public.tiny_slices (id bigint PRIMARY KEY, note text, at timestamptz NOT NULL);
     INSERT INTO public.tiny_slices
       SELECT n * 3, md5(n::text), '2026-01-01'::timestamptz + n * interval '1 s' FROM generate_series(1, ${rows}) n;
     ANALYZE public.tiny_slices`,
  );
  const [size] = await source.query<{ bytes: string }>(`SELECT pg_table_size('public.tiny_slices') AS bytes`);
  const folder = await mkdtemp(join(tmpdir(), 'syncline-scale-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const name = uniqueJobName('slices');
  const file = join(folder, 'job.yaml');
  await writeFile(
    file,
    `kind: copy
name: ${name}
source: { store: source, tables: [public.tiny_slices], chunkBytes: ${Math.floor(Number(size?.bytes) / chunks)}B }
target: { store: target, createTables: true }
run: { parallel: 4, verify: digest }
`,
  );
  const taskQueue = uniqueTaskQueue();
  const stores = { source: source.url, target: target.url };
  const worker = await startWorkerProcess({ stores, temporalAddress: temporalAddress(), taskQueue });
  onTestFinished(async () => {
    await worker.kill();
  });
  const jobs = await openJobs(temporalAddress(), taskQueue);
  onTestFinished(() => jobs.close());

  const run = await jobs.submit(file);
  const outcome = await run.ended();
  expect(outcome).toMatchObject({ kind: 'result', result: { state: 'done', rows, chunks: { skipped: 0 } } });
  const [ledger] = await target.query<{ slices: string; rows: string }>(
    `SELECT count(*) FILTER (WHERE slice > 0) AS slices, sum(rows) FILTER (WHERE slice > 0) AS rows
       FROM syncline.ledger WHERE job = '${name}'`,
  );
  expect(Number(ledger?.slices)).toBeGreaterThanOrEqual(chunks);
  expect(Number(ledger?.rows)).toBe(rows);
  expect(await digestOf(target.url, 'public.tiny_slices')).toEqual(
    await digestOf(source.url, 'public.tiny_slices'),
  );
  const lengths = await historyLengths(run);
  expect(Math.max(...lengths)).toBeLessThan(4_000);
  const seconds = outcome.kind === 'result' ? outcome.result.ms / 1000 : 0;
  process.stderr.write(
    `100,000 slices: ${seconds.toFixed(0)} s in ${lengths.length} run(s), largest history ${Math.max(...lengths)} events\n`,
  );
});
