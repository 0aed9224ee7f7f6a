import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOf } from '../../scripts/quickstart/table-digest.ts';
import { eventually } from '../support/eventually.ts';
import { uniqueJobName, uniqueTaskQueue } from '../support/temporal.ts';
import { describeDatabase } from './lab/checks.ts';
import { type Desk, openDesk } from './lab/desk.ts';

// One worker for all; every test has a job, a table and a path of its own. `far` and `dr` belong to another site.
let desk: Desk;
const farQueue = uniqueTaskQueue();
const key = 'ab'.repeat(32);

beforeAll(async () => {
  desk = await openDesk({
    moreStores: (folder) => [
      `vault: { kind: directory, path: ${folder}/vault, encryption: { key: '${key}' } }`,
      `near: { kind: directory, path: ${folder}/near }`,
      `far: { kind: directory, path: ${folder}/far, taskQueue: ${farQueue} }`,
    ],
  });
  await desk.startWorker();
});

afterAll(() => desk.end());

interface Job {
  readonly name: string;
  readonly table: string;
  readonly file: string;
}

/** Two partitions of 50 rows each at the source. */
async function job(lines: (table: string, name: string) => readonly string[]): Promise<Job> {
  const name = uniqueJobName('keep');
  const table = `public.${name.replaceAll('-', '_')}`;
  const file = await desk.write(
    `${name}.yaml`,
    ['kind: backup-restore', `name: ${name}`, ...lines(table, name), ''].join('\n'),
  );
  return { name, table, file };
}

async function createTable({ table }: Job): Promise<void> {
  await desk.source.query(
    `CREATE TABLE ${table} (id int, part int, note text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
     CREATE TABLE ${table}_0 PARTITION OF ${table} FOR VALUES IN (0);
     CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES IN (1);
     INSERT INTO ${table} SELECT n, n % 2, 'note ' || n FROM generate_series(1, 100) n;
     ANALYZE ${table}`,
  );
}

const backupOnly = (store: string) => (table: string, name: string) => [
  'stages: [backup]',
  `source: { store: source, tables: [${table}] }`,
  `backup: { store: ${store}, path: ${name}/, encrypt: ${String(store === 'vault')} }`,
];

const restoreOnly = (store: string, path: string) => [
  'stages: [restore]',
  `backup: { store: ${store}, path: ${path}/ }`,
  'restore: { store: target, createTables: true }',
];

/** The files of all objects with rows, in a directory of the desk. */
async function dataFiles(directory: string): Promise<string[]> {
  const entries = await readdir(join(desk.folder, directory, 'data'), {
    recursive: true,
    withFileTypes: true,
  });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function flipByte(file: string): Promise<void> {
  const content = await readFile(file);
  const at = Math.floor(content.length / 2);
  content.writeUInt8(content.readUInt8(at) ^ 1, at);
  await writeFile(file, content);
}

test('backup, transfer and restore in one run: a summary per stage, and status, chunks and list agree with it', async () => {
  const made = await job((table, name) => [
    `source: { store: source, tables: [${table}] }`,
    `backup: { store: near, path: ${name}/ }`,
    `transfer: { to: { store: near, path: ${name}-far/ } }`,
    'restore: { store: target, createTables: true }',
  ]);
  await createTable(made);
  const plan = await desk.json('plan', made.file);
  expect(plan).toMatchObject({
    code: 0,
    values: [
      {
        ...{ name: made.name, kind: 'backup-restore', chunks: 2 },
        stages: [
          { stage: 'backup', from: 'source', to: `near:${made.name}`, chunks: 2 },
          { stage: 'transfer', from: `near:${made.name}`, to: `near:${made.name}-far`, chunks: null },
          { stage: 'restore', from: `near:${made.name}-far`, to: 'target', chunks: null },
        ],
      },
    ],
  });
  const planText = await desk.syncline(['plan', made.file]);
  expect(planText.stdout).toMatch(/STAGE +FROM +TO +CHUNKS +BYTES\n +backup +source +near:/);
  const run = await desk.json('run', made.file, '--wait');
  const amounts = { chunks: { total: 2, done: 2, skipped: 0 }, rows: 100 };
  expect(run).toMatchObject({
    code: 0,
    values: [
      {
        ...{ name: made.name, kind: 'backup-restore', state: 'done', ...amounts },
        stages: [
          { stage: 'backup', state: 'done', ...amounts },
          { stage: 'transfer', state: 'done', chunks: { skipped: 0 } },
          { stage: 'restore', state: 'done', ...amounts },
        ],
      },
    ],
  });
  const { backup } = run.values[0] as { backup: string };
  expect(backup).toMatch(/^\d{8}T\d{9}Z-[0-9a-f]{8}$/);
  expect(await digestOf(desk.target.url, made.table)).toEqual(await digestOf(desk.source.url, made.table));

  expect((await desk.json('status', made.name)).values).toMatchObject([
    { kind: 'backup-restore', state: 'done', stages: [{ backup }, { backup }, { backup }] },
  ]);
  for (const args of [[], ['--stage', 'backup'], ['--stage', 'restore']]) {
    const chunks = await desk.json('chunks', made.name, ...args);
    expect(chunks).toMatchObject({
      code: 0,
      values: [
        [
          { chunk: `${made.table}_0`, state: 'done', rows: 50 },
          { chunk: `${made.table}_1`, state: 'done', rows: 50 },
        ],
      ],
    });
  }
  expect(await desk.json('chunks', made.name, '--stage', 'load')).toMatchObject({ code: 2 });
  // Visibility is told of a new run after a moment.
  await eventually(async () =>
    expect((await desk.json('list')).values[0]).toContainEqual(
      expect.objectContaining({ name: made.name, kind: 'backup-restore', state: 'done' }),
    ),
  );
});

test('a name that two kinds share must be said in full', async () => {
  const made = await job(backupOnly('near'));
  await createTable(made);
  const copy = await desk.write(
    `${made.name}-copy.yaml`,
    `kind: copy\nname: ${made.name}\nsource: { store: source, tables: [${made.table}] }\ntarget: { store: target, createTables: true }\n`,
  );
  for (const file of [made.file, copy]) expect((await desk.syncline(['run', file, '--wait'])).code).toBe(0);
  const unclear = await desk.syncline(['status', made.name]);
  expect(unclear.code).toBe(2);
  expect(unclear.stderr).toContain(`copy/${made.name}, backup-restore/${made.name}`);
  expect((await desk.json('status', `backup-restore/${made.name}`)).values).toMatchObject([
    { kind: 'backup-restore' },
  ]);
  expect(await desk.syncline(['remove', `copy/${made.name}`])).toMatchObject({ code: 0 });
  // What is left of a removed job does not stand in the way.
  expect((await desk.json('status', made.name)).values).toMatchObject([{ kind: 'backup-restore' }]);
});

test('a plain directory is listed, shown and verified without Temporal; a flipped byte is found and named', async () => {
  const made = await job(backupOnly('near'));
  await createTable(made);
  expect((await desk.syncline(['run', made.file, '--wait'])).code).toBe(0);
  const directory = `near/${made.name}`;
  const offline = { env: { TEMPORAL_ADDRESS: '127.0.0.1:1' }, cwd: desk.folder };
  const backup = async (...args: string[]) => {
    const { code, stdout } = await desk.syncline(['backup', ...args, '-o', 'json'], offline);
    return { code, value: JSON.parse(stdout) as unknown };
  };
  const listed = await backup('list', directory);
  expect(listed).toMatchObject({ code: 0, value: { backups: [{ job: made.name, rows: 100 }], broken: [] } });
  expect(await backup('list', '--store', 'near', '--path', `${made.name}/`)).toMatchObject({
    code: 0,
    value: { backups: [{ job: made.name }] },
  });
  expect((await desk.syncline(['backup', 'list', 'near'], offline)).stderr).toContain(directory);
  const id = (listed.value as { backups: { backup: string }[] }).backups[0]?.backup ?? '';
  expect(await backup('show', directory, id)).toMatchObject({
    code: 0,
    value: { backup: id, scope: 'full', rows: 100, chunks: 2, keyId: null },
  });
  const text = await desk.syncline(['backup', 'show', directory], offline);
  expect(text.stdout).toContain(`full backup of job ${made.name}`);
  expect(await backup('verify', directory)).toMatchObject({
    code: 0,
    value: { ok: true, backups: [{ backup: id, rows: 100, bad: [] }] },
  });
  const [file = ''] = await dataFiles(directory);
  await flipByte(file);
  const object = file.slice(join(desk.folder, directory).length + 1);
  for (const args of [
    [directory, id],
    [directory, '--all', '--hash-only'],
  ]) {
    expect(await backup('verify', ...args)).toMatchObject({
      code: 1,
      value: {
        ok: false,
        backups: [{ backup: id, rows: null, bad: [{ object, code: 'artifact.corrupt' }] }],
      },
    });
  }
  const told = await desk.syncline(['backup', 'verify', directory], offline);
  expect(told.code).toBe(1);
  expect(told.stdout).toContain(object);
});

test('a restore of a backup with a flipped byte is refused with its name, and the target is as it was', async () => {
  const made = await job(backupOnly('near'));
  await createTable(made);
  expect((await desk.syncline(['run', made.file, '--wait'])).code).toBe(0);
  const [file = ''] = await dataFiles(`near/${made.name}`);
  await flipByte(file);
  const back = await job(() => restoreOnly('near', made.name));
  const before = await describeDatabase(desk.target);
  const run = await desk.json('run', back.file, '--wait');
  expect(run).toMatchObject({ code: 4, values: [{ state: 'failed', error: { code: 'preflight.refused' } }] });
  const object = file.slice(join(desk.folder, 'near').length + 1);
  expect(JSON.stringify(run.values)).toContain(object);
  expect(await describeDatabase(desk.target)).toEqual(before);
});

test('an encrypted backup is verified with its key only, which is never printed', async () => {
  const made = await job(backupOnly('vault'));
  await createTable(made);
  expect((await desk.syncline(['run', made.file, '--wait'])).code).toBe(0);
  const directory = `vault/${made.name}`;
  const verify = (env: Record<string, string>, ...args: string[]) =>
    desk.syncline(['backup', 'verify', directory, ...args], { env, cwd: desk.folder });
  const without = await verify({});
  expect(without).toMatchObject({ code: 1 });
  expect(without.stdout).toContain('artifact.wrongKey');
  const unset = await verify({}, '--key-env', 'NOT_SET_HERE');
  expect(unset).toMatchObject({ code: 2 });
  expect(unset.stderr).toContain('NOT_SET_HERE');
  const keys = { OLD_KEY: 'cd'.repeat(32), MY_KEY: key };
  const good = await verify(keys, '--key-env', 'OLD_KEY', '--key-env', 'MY_KEY');
  expect(good).toMatchObject({ code: 0, stdout: expect.stringContaining('100 rows read') as string });
  const byStore = await desk.syncline(['backup', 'verify', '--store', 'vault', '--path', made.name]);
  expect(byStore).toMatchObject({ code: 0 });
  const said = [without, unset, good, byStore].map(({ stdout, stderr }) => stdout + stderr).join('');
  expect(said).not.toContain(key);
});

test('a stage of another site waits for a worker there, visibly, and then goes on; doctor warns of it', async () => {
  const made = await job((table, name) => [
    'stages: [backup, transfer, restore]',
    `source: { store: source, tables: [${table}] }`,
    `backup: { store: far, path: ${name}/ }`,
    `transfer: { to: { store: near, path: ${name}/ } }`,
    'restore: { store: target, createTables: true }',
  ]);
  await createTable(made);
  const doctor = await desk.syncline(['doctor']);
  expect(doctor.code).toBe(0);
  expect(doctor.stdout).toMatch(new RegExp(`^warn +site ${farQueue}: no worker`, 'm'));
  const run = await desk.syncline(['run', made.file]);
  expect(run.code).toBe(0);
  expect(run.stderr).toContain(`"${farQueue}"`);
  await eventually(async () =>
    expect((await desk.json('status', made.name)).values).toMatchObject([
      {
        ...{ state: 'running', stage: 'transfer', reasonCode: 'job.siteDown' },
        stages: [{ state: 'done' }, { state: 'running' }, { state: 'waiting' }],
      },
    ]),
  );
  const text = await desk.syncline(['status', made.name]);
  expect(text.stdout).toMatch(/backup +done[^]*transfer +running[^]*restore +waiting/);
  await desk.startWorker({}, farQueue);
  await eventually(async () =>
    expect((await desk.json('status', made.name)).values).toMatchObject([{ state: 'done' }]),
  );
  expect(await digestOf(desk.target.url, made.table)).toEqual(await digestOf(desk.source.url, made.table));
  expect((await desk.json('chunks', made.name, '--stage', 'backup')).code).toBe(0);
});

test('without a worker the status is what the ledgers in files say, and a schedule carries the sites along', async () => {
  const made = await job((table, name) => [
    ...backupOnly('far')(table, name),
    'schedule: { cron: "0 3 * * *", timezone: UTC }',
  ]);
  await createTable(made);
  expect((await desk.syncline(['run', made.file, '--wait'])).code).toBe(0);
  expect(await desk.json('apply', made.file)).toMatchObject({ code: 0, values: [[{ outcome: 'created' }]] });
  expect(await desk.json('apply', made.file)).toMatchObject({
    code: 0,
    values: [[{ outcome: 'unchanged' }]],
  });
  const description = await desk.client.schedule.getHandle(`backup-restore/${made.name}`).describe();
  expect(description.action.args).toMatchObject([{ job: { name: made.name }, queues: { far: farQueue } }]);

  const elsewhere = await desk.write(
    'elsewhere.yaml',
    (await readFile(desk.config, 'utf8')).replace(
      `taskQueue: ${desk.taskQueue}`,
      `taskQueue: ${uniqueTaskQueue()}`,
    ),
  );
  const run = await desk.syncline(['run', made.file, '--config', elsewhere]);
  expect(run.code).toBe(0);
  const status = await desk.json('status', made.name);
  expect(status.values).toMatchObject([
    {
      ...{ kind: 'backup-restore', stage: 'backup', needsAttention: true, reasonCode: 'job.noWorker' },
      chunks: { total: 2, done: 2, skipped: 0 },
    },
  ]);
  expect(await desk.syncline(['pause', made.name])).toMatchObject({ code: 3 });
  await desk.client.workflow.getHandle(`backup-restore/${made.name}`).terminate();
});
