import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { uniqueJobName } from '../support/temporal.ts';
import { describeDatabase } from './lab/checks.ts';
import { type Desk, openDesk } from './lab/desk.ts';

// What the command line says when a part is missing: the job, the worker, Temporal, a store, a right definition.
let desk: Desk;

beforeAll(async () => {
  desk = await openDesk();
  await desk.source.query(
    `CREATE TABLE public.parts (id int, part int, filler text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
     CREATE TABLE public.parts_0 PARTITION OF public.parts FOR VALUES IN (0);
     CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES IN (1);
     INSERT INTO public.parts SELECT n, 0, 'small' FROM generate_series(1, 10) n;
     INSERT INTO public.parts SELECT n, 1, repeat(md5(n::text), 6) FROM generate_series(1, 40000) n;
     ANALYZE public.parts`,
  );
});

afterAll(() => desk.end());

const text = (name: string, more = ''): string =>
  `kind: copy\nname: ${name}\nsource: { store: source, tables: [public.parts] }\ntarget: { store: target, createTables: true }\n${more}`;

async function job(more = '') {
  const name = uniqueJobName('without');
  return { name, file: await desk.write(`${name}.yaml`, text(name, more)) };
}

const orders = ['pause', 'resume', 'retry', 'skip', 'remove'];
const questions = ['status', 'chunks', 'history'];

test('a job that does not exist is bad usage, whatever is asked of it', async () => {
  const answers = await Promise.all(
    [...orders, ...questions].map((word) => desk.json(word, 'nobody-made-this')),
  );
  for (const answer of answers) {
    expect(answer).toMatchObject({ code: 2, values: [{ error: { code: 'job.notFound' } }] });
  }
});

test('without Temporal every command that needs it ends with 3 and names the address', async () => {
  const { file } = await job();
  const env = { TEMPORAL_ADDRESS: '127.0.0.1:1' };
  const commands = [
    ...[...orders, ...questions].map((word) => [word, 'some-job']),
    ...[['run', file], ['run', file, '--wait'], ['apply', file], ['list'], ['doctor'], ['worker']],
  ];
  const answers = await Promise.all(commands.map((args) => desk.syncline(args, { env })));
  for (const [index, { code, stdout, stderr }] of answers.entries()) {
    expect([commands[index], code]).toEqual([commands[index], 3]);
    expect(stdout + stderr).toContain('127.0.0.1:1');
    expect(stderr).not.toMatch(/^\s+at /m);
  }
  expect((await desk.syncline(['validate', file], { env })).code).toBe(0);
  expect((await desk.syncline(['plan', file], { env })).code).toBe(0);
});

test('without a worker orders fail and name the task queue, and the status is what visibility knows', async () => {
  const { name, file } = await job();
  const run = await desk.syncline(['run', file]);
  expect(run.code).toBe(0);
  expect(run.stderr).toContain(`"${desk.taskQueue}"`);
  const answers = await Promise.all(orders.map((word) => desk.syncline([word, name])));
  for (const { code, stderr } of answers) {
    expect(code).toBe(3);
    expect(stderr).toContain(`"${desk.taskQueue}"`);
  }
  const status = await desk.json('status', name);
  expect(status.code).toBe(0);
  const counts = {
    chunks: { total: 0, done: 0, skipped: 0 },
    rows: { read: 0, written: 0, skipped: 0 },
    bytes: 0,
  };
  expect(status.values).toMatchObject([
    {
      ...{ name, kind: 'copy', phase: 'init', needsAttention: true, reasonCode: 'job.noWorker', ...counts },
      ...{ lagMs: null, lagBytes: null, position: null, consistentAt: null },
      reason: expect.stringContaining(desk.taskQueue) as string,
    },
  ]);
  const listed = (await desk.json('list')).values[0] as readonly { name: string }[];
  expect(listed.find((one) => one.name === name)).toMatchObject({
    kind: 'copy',
    state: 'running',
    endedAt: null,
  });
  await desk.client.workflow.getHandle(`copy/${name}`).terminate();
});

test('a worker that was killed leaves a status from the ledger, and orders that fail', async () => {
  const worker = await desk.startWorker();
  const { name, file } = await job('run: { throttle: 500KB/s, parallel: 1 }\n');
  await desk.syncline(['run', file]);
  await eventually(async () => {
    const { values } = await desk.json('status', name);
    return (values[0] as { chunks: { done: number } }).chunks.done === 1;
  });
  await worker.kill();
  const [status, pause] = await Promise.all([desk.json('status', name), desk.syncline(['pause', name])]);
  expect(status).toMatchObject({
    code: 0,
    values: [
      {
        needsAttention: true,
        reasonCode: 'job.noWorker',
        chunks: { total: 2, done: 1 },
        rows: { written: 10 },
      },
    ],
  });
  expect(pause.code).toBe(3);
  expect(pause.stderr).toContain(`"${desk.taskQueue}"`);
  const chunks = await desk.json('chunks', name);
  expect(chunks.values).toMatchObject([
    [
      { ordinal: 1, chunk: 'public.parts_0', state: 'done', rows: 10 },
      { ordinal: 2, chunk: 'public.parts_1', state: 'pending', rows: null },
    ],
  ]);
  await desk.client.workflow.getHandle(`copy/${name}`).terminate();
});

describe('a store that does not answer', () => {
  const unreachable = 'postgres://app:hunter22@127.0.0.1:1/db';

  test('ends plan with 3, doctor with 3 and a cure for each part, and shows no password', async () => {
    const wrong = new URL(desk.target.url);
    wrong.searchParams.set('application_name', 'x');
    wrong.username = 'nobody_at_all';
    wrong.password = 'hunter22';
    const config = await desk.write(
      'broken.yaml',
      `stores:
  source: { kind: postgres, url: '${unreachable}' }
  target: { kind: postgres, url: '${wrong.href}' }
  good: { kind: postgres, url: '${desk.source.url}' }
temporal: { taskQueue: ${desk.taskQueue}-nobody }
`,
    );
    const { file } = await job();
    const plan = await desk.syncline(['plan', file, '--config', config]);
    expect(plan.code).toBe(3);
    const doctor = await desk.json('doctor', '--config', config);
    expect(doctor).toMatchObject({ code: 3, values: [{ ok: false }] });
    const { checks } = doctor.values[0] as { checks: { what: string; ok: boolean; cure: string | null }[] };
    expect(checks.map(({ what, ok }) => [what, ok])).toEqual([
      ...[
        ['temporal', true],
        ['search attributes', true],
        ['workers', false],
      ],
      ...[
        ['store source', false],
        ['store target', false],
        ['store good', true],
      ],
    ]);
    for (const { ok, cure } of checks) expect(cure === null).toBe(ok);
    expect(JSON.stringify([plan, doctor])).not.toContain('hunter22');
  });

  test('that has a secret missing or a setting wrong is a fault of the configuration', async () => {
    const { file } = await job();
    const secret = await desk.write(
      'secret.yaml',
      'stores:\n  source: { kind: postgres, url: "${NOT_SET_HERE}" }\n',
    );
    const missing = await desk.syncline(['doctor', '--config', secret]);
    expect(missing.stdout).toMatch(/FAIL .*NOT_SET_HERE.*\n +cure: /);
    const planned = await desk.syncline(['plan', file, '--config', secret]);
    expect(planned.code).toBe(2);
    expect(planned.stderr).toContain('NOT_SET_HERE');
    const none = await desk.syncline(['plan', file, '--config', `${desk.folder}/absent.yaml`]);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('absent.yaml');
  });
});

describe('a file', () => {
  test('of several jobs with one wrong one starts none of them', async () => {
    const [first, second] = [uniqueJobName('without'), uniqueJobName('without')];
    const file = await desk.write(
      'several.yaml',
      `${text(first)}---\n${text(second, 'run: { paralel: 3 }\n')}---\n${text(first)}`,
    );
    const { code, stderr } = await desk.syncline(['run', file]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${file}:10:`);
    expect(stderr).toContain('parallel');
    expect(stderr).toMatch(new RegExp(`${first}.*(twice|already|another)`));
    for (const name of [first, second]) {
      await expect(desk.client.workflow.getHandle(`copy/${name}`).describe()).rejects.toThrow(/not found/i);
    }
  });

  test('of several jobs of which one is running starts none of the others', async () => {
    const running = await job();
    await desk.syncline(['run', running.file]);
    const other = uniqueJobName('without');
    const file = await desk.write('half.yaml', `${text(other)}---\n${text(running.name)}`);
    expect(await desk.json('run', file)).toMatchObject({
      code: 1,
      values: [{ error: { code: 'job.alreadyRunning' } }],
    });
    await expect(desk.client.workflow.getHandle(`copy/${other}`).describe()).rejects.toThrow(/not found/i);
    await desk.client.workflow.getHandle(`copy/${running.name}`).terminate();
  });
});

test('plan says what a run would do and leaves both sides as they were', async () => {
  const { name, file } = await job();
  const schemas = (): Promise<unknown[]> => desk.target.query('SELECT nspname FROM pg_namespace ORDER BY 1');
  const before = [await describeDatabase(desk.target), await schemas()];
  const plan = await desk.json('plan', file);
  expect(plan).toMatchObject({
    code: 0,
    values: [{ name, chunks: 2, consistency: 'chunk', slowPath: [], notCarried: [], findings: [] }],
  });
  expect((plan.values[0] as { bytes: number }).bytes).toBeGreaterThan(1_000_000);
  expect([await describeDatabase(desk.target), await schemas()]).toEqual(before);
});
