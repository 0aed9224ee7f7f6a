import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ErrorCode, errorTable } from '../../definitions/errors.ts';
import { eventually } from '../support/eventually.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { describeDatabase } from './lab/checks.ts';
import { type Cli, createCli } from './lab/cli.ts';
import { createLabDatabase, type LabDatabase } from './lab/database.ts';
import { type Jobs, openJobs } from './lab/job-run.ts';
import { sharedPlace } from './lab/shared-place.ts';

/** Roles are the server's, which other tests use too. */
const role = `poor_${randomBytes(4).toString('hex')}`;
const password = 'fine words';

const tables = `
  CREATE SCHEMA lab;
  CREATE TABLE lab.orders (id int PRIMARY KEY, at timestamptz NOT NULL, qty numeric(12,2), note text);
  CREATE TABLE lab.wide (id bigint PRIMARY KEY, qty bigint);
  CREATE TABLE lab.closed (id int PRIMARY KEY);`;
const sourceOnly = `
  CREATE TABLE lab.only_here (id int PRIMARY KEY);
  INSERT INTO lab.orders SELECT i, '2026-01-01'::timestamptz + i * interval '1 minute', i, 'n' FROM generate_series(1, 1000) i;
  INSERT INTO lab.wide SELECT i, i FROM generate_series(1, 100) i`;
const targetOnly = `
  ALTER TABLE lab.wide ALTER qty TYPE smallint;
  INSERT INTO lab.orders SELECT i, '2026-01-01'::timestamptz + i * interval '1 minute', i, 'old' FROM generate_series(1, 7) i`;

interface Case {
  readonly fault: string;
  readonly table?: string;
  /** Flow mapping lines that replace the usual ones. */
  readonly source?: string;
  readonly target?: string;
  /** Of `plan`; a run that is refused ends with the same code if it ends by itself. */
  readonly planCode: number;
  readonly code: ErrorCode;
  readonly names: RegExp;
}

const cases: readonly Case[] = [
  {
    fault: 'a wrong password on the source',
    source: '{ store: wrongPassword, tables: [lab.orders] }',
    planCode: 3,
    code: 'store.authentication',
    names: /wrongPassword/,
  },
  {
    fault: 'a wrong password on the target',
    target: '{ store: wrongTargetPassword, mode: upsert }',
    planCode: 3,
    code: 'store.authentication',
    names: /wrongTargetPassword/,
  },
  {
    fault: 'a database that does not exist',
    source: '{ store: noDatabase, tables: [lab.orders] }',
    planCode: 3,
    code: 'store.authentication',
    names: /noDatabase/,
  },
  {
    fault: 'a server that is not there',
    source: '{ store: nobody, tables: [lab.orders] }',
    planCode: 3,
    code: 'store.unreachable',
    names: /nobody/,
  },
  {
    fault: 'a table that is missing on the source',
    source: '{ store: source, tables: [lab.ordres] }',
    planCode: 4,
    code: 'source.tableMissing',
    names: /lab\.ordres/,
  },
  {
    fault: 'a table that is missing on the target',
    source: '{ store: source, tables: [lab.only_here] }',
    planCode: 4,
    code: 'target.tableMissing',
    names: /lab\.only_here/,
  },
  {
    fault: 'a column that is missing',
    source: '{ store: source, tables: [lab.orders], columns: [id, at, quantity] }',
    planCode: 4,
    code: 'source.columnMissing',
    names: /quantity/,
  },
  {
    fault: 'a target column that is too narrow',
    source: '{ store: source, tables: [lab.wide] }',
    planCode: 4,
    code: 'target.typeMismatch',
    names: /qty/,
  },
  {
    fault: 'a role that may not read the table',
    source: '{ store: poorSource, tables: [lab.closed] }',
    planCode: 4,
    code: 'store.permission',
    names: /SELECT.*lab\.closed/,
  },
  {
    fault: 'a role that may not create the ledger',
    target: '{ store: poorTarget, mode: upsert }',
    planCode: 4,
    code: 'store.permission',
    names: /ledger/,
  },
  {
    fault: 'a condition that the server does not understand',
    source: `{ store: source, tables: [lab.orders], where: 'qty >>> 3' }`,
    planCode: 4,
    code: 'source.invalidFilter',
    names: /lab\.orders|where/,
  },
  {
    fault: 'a condition on a column that is not there',
    source: `{ store: source, tables: [lab.orders], where: 'quantity > 3' }`,
    planCode: 4,
    code: 'source.invalidFilter',
    names: /lab\.orders|where/,
  },
  {
    fault: 'rows in the window of an append that no ledger row accounts for',
    source: `{ store: source, tables: [lab.orders], window: { column: at, from: 2026-01-01, to: 2026-01-02 } }`,
    target: '{ store: target, mode: append }',
    planCode: 4,
    code: 'target.unaccountedRows',
    names: /7 rows/,
  },
];

describe('bad input', () => {
  let source: LabDatabase;
  let target: LabDatabase;
  let cli: Cli;
  let worker: WorkerProcess;
  let jobs: Jobs;
  let folder: string;
  let before: readonly (readonly string[])[];
  const taskQueue = `bad-${randomBytes(4).toString('hex')}`;

  beforeAll(async () => {
    const place = sharedPlace();
    [source, target] = await Promise.all([createLabDatabase(place.source), createLabDatabase(place.target)]);
    await source.query(`${tables}${sourceOnly}`);
    await target.query(`${tables}${targetOnly}`);
    for (const database of [source, target]) {
      await database.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}';
        GRANT USAGE ON SCHEMA lab TO ${role}; GRANT ALL ON lab.orders TO ${role};
        REVOKE CREATE ON DATABASE ${database.name} FROM PUBLIC`);
    }
    const stores = {
      source: source.url,
      target: target.url,
      wrongPassword: withUser(source.url, 'postgres', 'not it'),
      wrongTargetPassword: withUser(target.url, 'postgres', 'not it'),
      noDatabase: source.url.replace(source.name, 'no_such_database'),
      nobody: 'postgres://postgres:x@127.0.0.1:9/nothing',
      poorSource: withUser(source.url, role, password),
      poorTarget: withUser(target.url, role, password),
    };
    const options = { stores, temporalAddress: place.temporalAddress, taskQueue };
    [cli, worker] = await Promise.all([createCli(options), startWorkerProcess(options)]);
    jobs = await openJobs(place.temporalAddress, taskQueue);
    folder = await mkdtemp(join(tmpdir(), 'syncline-bad-'));
    before = [await describeDatabase(source), await describeDatabase(target)];
  });

  afterAll(async () => {
    await worker.kill();
    await jobs.close();
    await cli.end();
    await rm(folder, { recursive: true, force: true });
    for (const database of [source, target]) {
      await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await database.drop();
    }
  });

  function jobOf(one: Case, name: string): string {
    return [
      'kind: copy',
      `name: ${name}`,
      `source: ${one.source ?? '{ store: source, tables: [lab.orders] }'}`,
      `target: ${one.target ?? '{ store: target }'}`,
      'onFailure: { mode: stop, attempts: 2, backoff: { initial: 50ms, max: 100ms } }',
      '',
    ].join('\n');
  }

  describe.concurrent('is one clear error with a cure', () => {
    it.for(cases)('in `plan`: $fault', async (one, { expect }) => {
      const file = `plan-${cases.indexOf(one)}.yaml`;
      const answer = await cli.run(['plan', file], { [file]: jobOf(one, 'planned') });
      const text = `${answer.stdout}${answer.stderr}`;
      expect(answer, text).toMatchObject({ code: one.planCode });
      expect(text).toContain(one.code);
      expect(text).toMatch(one.names);
      expect(text).toContain(one.planCode === 3 ? errorTable[one.code].cure : 'cure: ');
      expect(text).not.toMatch(/^\s+at /m);
    });

    it.for(cases)('in a run: $fault', async (one, { expect }) => {
      const name = `bad-${taskQueue}-${cases.indexOf(one)}`;
      const file = join(folder, `${name}.yaml`);
      await writeFile(file, jobOf(one, name));
      const run = await jobs.submit(file);
      if (one.planCode === 4) {
        const outcome = await run.ended();
        expect(outcome).toMatchObject({ kind: 'failed', code: 'preflight.refused' });
        expect(JSON.stringify(outcome)).toMatch(one.names);
        return;
      }
      // A server that cannot be reached or refuses us may be mended: the job waits for that.
      await eventually(async () => (await run.status())?.state === 'stopped');
      expect(await run.status()).toMatchObject({ needsAttention: true, reasonCode: one.code });
      expect((await run.status())?.reason).toMatch(one.names);
    });
  });

  it('ends `run --wait` with code 4 when preflight refuses', async () => {
    const [one] = cases.filter(({ planCode }) => planCode === 4);
    if (one === undefined) throw new Error('No case is refused by preflight.');
    const name = `waited-${taskQueue}`;
    const answer = await cli.run(['run', 'w.yaml', '--wait'], { 'w.yaml': jobOf(one, name) });
    const text = `${answer.stdout}${answer.stderr}`;
    expect(answer, text).toMatchObject({ code: 4 });
    expect(text).toMatch(one.names);
    expect(text).toContain(one.code);
    expect(text).toContain('cure: ');
    expect(text).not.toContain(errorTable['preflight.refused'].cure);
  });

  it.each([
    [
      'unknown keys',
      'kind: copy\nname: x\nsorce: {}\ntarget: { store: target }\n',
      /:3:\d+: .*sorce[\s\S]*source/,
    ],
    [
      'aliases that contain themselves',
      'kind: copy\nname: x\nsource: &a { store: source, tables: *a }\n',
      /:3:\d+: /,
    ],
    ['no YAML at all', 'kind: [copy\n', /:\d+:\d+: /],
  ])('in a file with %s ends with code 2, names the place and starts nothing', async (_what, text, place) => {
    for (const command of ['validate', 'run', 'plan']) {
      const answer = await cli.run([command, 'file.yaml'], { 'file.yaml': text });
      expect(answer.code, `${command}: ${answer.stdout}${answer.stderr}`).toBe(2);
      expect(answer.stdout + answer.stderr).toMatch(place);
    }
  });

  it('changes nothing on either side', async () => {
    expect([await describeDatabase(source), await describeDatabase(target)]).toEqual(before);
    expect(await target.query(`SELECT FROM pg_namespace WHERE nspname = 'syncline'`)).toEqual([]);
  });
});

function withUser(url: string, user: string, secret: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = encodeURIComponent(secret);
  return changed.href;
}
