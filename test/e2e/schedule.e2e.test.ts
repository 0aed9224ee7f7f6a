import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { uniqueJobName } from '../support/temporal.ts';
import { type Desk, openDesk } from './lab/desk.ts';

// One worker and one source table for all; every test has a job, a schedule and a target table of its own.
let desk: Desk;

beforeAll(async () => {
  desk = await openDesk();
  await desk.source.query(
    `CREATE TABLE public.ticks (id int PRIMARY KEY, at timestamptz NOT NULL);
     INSERT INTO public.ticks SELECT n, '2026-01-05T00:00:00Z'::timestamptz + n * interval '1 min'
       FROM generate_series(0, 12 * 60 - 1) n;
     ANALYZE public.ticks`,
  );
  await desk.startWorker();
});

afterAll(() => desk.end());

interface Applied {
  readonly outcome: string;
  readonly drifted: boolean;
  readonly nextRunAt: string | null;
}

interface Job {
  readonly name: string;
  /** Of the target, without schema. */
  readonly table: string;
  readonly file: string;
  apply(): Promise<Applied | undefined>;
}

interface Definition {
  readonly mode: string;
  readonly window?: string;
  /** What stands behind `schedule:`; absent for none. */
  readonly schedule?: string;
  readonly throttle?: string;
}

async function write(definition: Definition, name = uniqueJobName('schedule')): Promise<Job> {
  const table = name.replaceAll('-', '_');
  const window = definition.window === undefined ? '' : `, window: ${definition.window}`;
  const file = await desk.write(
    `${name}.yaml`,
    `kind: copy
name: ${name}
source: { store: source, tables: [{ name: public.ticks, target: { table: ${table} } }]${window} }
target: { store: target, mode: ${definition.mode}, createTables: true }
${definition.throttle === undefined ? '' : `run: { throttle: ${definition.throttle} }\n`}${definition.schedule === undefined ? '' : `schedule: ${definition.schedule}\n`}`,
  );
  return {
    name,
    table,
    file,
    async apply() {
      const { code, values } = await desk.json('apply', file);
      expect(code).toBe(0);
      return (values[0] as readonly Applied[])[0];
    },
  };
}

function schedule({ name }: Job) {
  return desk.client.schedule.getHandle(`copy/${name}`);
}

/** Due times of the launchers that are over, oldest first. */
async function launched({ name }: Job, status = 'Completed'): Promise<string[]> {
  const times: string[] = [];
  const query = `WorkflowType = 'launch' AND SynclineJob = '${name}' AND ExecutionStatus = '${status}'`;
  for await (const { workflowId } of desk.client.workflow.list({ query })) {
    times.push(workflowId.slice(`launch/copy/${name}-`.length));
  }
  return times.sort();
}

/** Each minute that arrived, how often it did, and the first and last of them. */
async function arrived({ table }: Job) {
  const [row] = await desk.target.query<Record<'rows' | 'ids' | 'first' | 'last', string>>(
    `SELECT count(*)::text AS rows, count(DISTINCT id)::text AS ids, min(id)::text AS first, max(id)::text AS last
       FROM public.${table}`,
  );
  return row;
}

const everyHour = '{ calendar: { hour: "*" }, paused: true }';

async function backfill(job: Job, end: string, overlap: 'BUFFER_ALL' | 'ALLOW_ALL'): Promise<void> {
  await schedule(job).backfill([
    { start: new Date('2026-01-05T00:30:00Z'), end: new Date(`2026-01-05T${end}:00Z`), overlap },
  ]);
}

describe('the window of a run', () => {
  test('begins at the watermark and ends when the run was due: late and repeated runs bring each row once', async () => {
    const job = await write({
      mode: 'append',
      window: '{ column: at, from: { watermark: 2026-01-05 }, to: now }',
      schedule: everyHour,
    });
    // Without a key nothing but the ledger keeps a row from being there twice.
    await desk.target.query(`CREATE TABLE public.${job.table} (id int NOT NULL, at timestamptz NOT NULL)`);
    await job.apply();
    await backfill(job, '04:30', 'BUFFER_ALL');
    await eventually(async () => expect(await launched(job)).toHaveLength(4));
    expect(await arrived(job)).toEqual({ rows: '240', ids: '240', first: '0', last: '239' });
    const loads = await desk.target.query<{ load: string; rows: string }>(
      `SELECT load, sum(rows)::text AS rows FROM syncline.ledger WHERE job = '${job.name}' GROUP BY load ORDER BY load`,
    );
    expect(loads.map(({ rows }) => rows)).toEqual(['60', '60', '60', '60']);
    await backfill(job, '06:30', 'BUFFER_ALL');
    await eventually(async () => expect(await launched(job)).toHaveLength(4 + 6));
    expect(await arrived(job)).toEqual({ rows: '360', ids: '360', first: '0', last: '359' });
  });

  test('counts from the time that was due, however late and in whatever order the runs come', async () => {
    const job = await write({
      mode: 'append',
      window: '{ column: at, from: -1h, to: now }',
      schedule: '{ calendar: { hour: "*" }, paused: true, overlap: buffer }',
    });
    await desk.target.query(`CREATE TABLE public.${job.table} (id int NOT NULL, at timestamptz NOT NULL)`);
    await job.apply();
    await backfill(job, '03:30', 'ALLOW_ALL');
    await eventually(async () => expect(await launched(job)).toHaveLength(3));
    expect(await arrived(job)).toEqual({ rows: '180', ids: '180', first: '0', last: '179' });
    await backfill(job, '03:30', 'ALLOW_ALL');
    await eventually(async () => expect(await launched(job)).toHaveLength(6));
    expect(await arrived(job)).toEqual({ rows: '180', ids: '180', first: '0', last: '179' });
  });

  test('of a replace is refreshed and leaves the rest of the table alone', async () => {
    const job = await write({
      mode: 'replace',
      window: '{ column: at, from: -1h, to: now }',
      schedule: everyHour,
    });
    await job.apply();
    await backfill(job, '02:30', 'BUFFER_ALL');
    await eventually(async () => expect(await launched(job)).toHaveLength(2));
    await desk.target.query(`DELETE FROM public.${job.table} WHERE id IN (30, 90)`);
    await schedule(job).backfill([
      {
        start: new Date('2026-01-05T01:30:00Z'),
        end: new Date('2026-01-05T02:30:00Z'),
        overlap: 'BUFFER_ALL',
      },
    ]);
    await eventually(async () => expect(await launched(job)).toHaveLength(3));
    expect(await arrived(job)).toEqual({ rows: '119', ids: '119', first: '0', last: '119' });
    const hole = await desk.target.query(`SELECT id FROM public.${job.table} WHERE id = 30`);
    expect(hole).toEqual([]);
  });
});

test('a schedule with seconds runs by the clock, and each run begins where the last one ended', async () => {
  const job = await write({
    mode: 'append',
    window: '{ column: at, from: { watermark: 2026-01-05 }, to: now }',
    schedule: '{ cron: "*/2 * * * * * *", overlap: skip }',
  });
  await job.apply();
  await eventually(async () => expect((await launched(job)).length).toBeGreaterThanOrEqual(3));
  expect(await arrived(job)).toEqual({ rows: '720', ids: '720', first: '0', last: '719' });
  const spans = await desk.target.query<{ load: string }>(
    `SELECT load FROM syncline.load WHERE job = '${job.name}' ORDER BY load`,
  );
  const bounds = spans.map(({ load }) => load.replace('window:', '').split('/'));
  for (const [index, [from]] of bounds.entries()) if (index > 0) expect(from).toBe(bounds[index - 1]?.[1]);
  expect(await desk.syncline(['remove', job.name])).toMatchObject({ code: 0 });
  await expect(schedule(job).describe()).rejects.toThrow(/not found/);
});

describe('a run by hand and a scheduled one', () => {
  /** Leaves a run behind that was started by hand and paused: it is active, and does nothing. */
  async function occupied(overlap: string): Promise<Job> {
    const job = await write({
      mode: 'replace',
      schedule: `{ calendar: { hour: "*" }, paused: true, overlap: ${overlap} }`,
      throttle: '2KB/s',
    });
    await job.apply();
    expect((await desk.syncline(['run', job.file])).code).toBe(0);
    expect(await desk.syncline(['pause', job.name])).toMatchObject({ code: 0 });
    return job;
  }

  /** Newest first. */
  async function statesOf(job: Job): Promise<string[]> {
    const { values } = await desk.json('history', job.name);
    return (values[0] as { runs: { status: string }[] }).runs.map(({ status }) => status);
  }

  test('under skip, whichever comes second is not started', async () => {
    const job = await occupied('skip');
    await schedule(job).trigger();
    await eventually(async () => expect(await launched(job)).toHaveLength(1));
    const refused = await desk.json('run', job.file);
    expect(refused).toMatchObject({ code: 1, values: [{ error: { code: 'job.alreadyRunning' } }] });
    expect(await statesOf(job)).toEqual(['running']);
    expect(await desk.syncline(['remove', job.name])).toMatchObject({ code: 0 });
  });

  test('under buffer, those that come later wait until the first is over', async () => {
    const job = await occupied('buffer');
    await schedule(job).trigger();
    const second = await desk.json('run', job.file);
    expect(second).toMatchObject({ code: 0, values: [{ name: job.name, state: 'submitted' }] });
    await eventually(async () => expect(await launched(job, 'Running')).toHaveLength(2));
    expect(await statesOf(job)).toEqual(['running']);
    const removed = await desk.syncline(['remove', job.name]);
    expect(removed).toMatchObject({ code: 0 });
    await eventually(async () => expect(await launched(job, 'Running')).toEqual([]));
    expect(await statesOf(job)).toEqual(['completed']);
  });

  test('under cancel, the later one takes the place of the earlier one', async () => {
    const job = await occupied('cancel');
    await schedule(job).trigger();
    await eventually(async () => expect(await statesOf(job)).toEqual(['running', 'cancelled']));
    expect(await desk.syncline(['pause', job.name])).toMatchObject({ code: 0 });
    const byHand = desk.json('run', job.file, '--wait');
    expect(await byHand).toMatchObject({ code: 0, values: [{ name: job.name, state: 'done', rows: 720 }] });
    expect(await statesOf(job)).toEqual(['completed', 'cancelled', 'cancelled']);
  });
});

describe('apply', () => {
  test('says when, in the words of a calendar, in its time zone, between start and end', async () => {
    const job = await write({
      mode: 'replace',
      schedule:
        '{ calendar: { hour: 22, minute: "0,30", dayOfWeek: mon-fri, month: jan }, timezone: Asia/Shanghai, startAt: 2031-01-01, endAt: 2031-12-31 }',
    });
    const applied = await job.apply();
    expect(applied).toEqual({
      ...{ name: job.name, kind: 'copy', outcome: 'created', drifted: false },
      // 1 January 2031 is a Wednesday.
      nextRunAt: '2031-01-01T14:00:00.000Z',
    });
    const { spec, info } = await schedule(job).describe();
    expect(spec).toMatchObject({ timezone: 'Asia/Shanghai', startAt: new Date('2030-12-31T16:00:00Z') });
    expect(spec.endAt).toEqual(new Date('2031-12-31T15:59:59.999Z'));
    expect(spec.calendars).toMatchObject([
      {
        ...{ hour: [{ start: 22, end: 22 }], month: [{ start: 'JANUARY', end: 'JANUARY' }] },
        dayOfWeek: [{ start: 'MONDAY', end: 'FRIDAY' }],
      },
    ]);
    expect(info.nextActionTimes.slice(0, 6).map((time) => time.toISOString())).toEqual([
      ...['2031-01-01T14:00:00.000Z', '2031-01-01T14:30:00.000Z', '2031-01-02T14:00:00.000Z'],
      ...['2031-01-02T14:30:00.000Z', '2031-01-03T14:00:00.000Z', '2031-01-03T14:30:00.000Z'],
    ]);
    await schedule(job).delete();
  });

  test('leaves what is right, repairs what was edited in the UI and says so, and follows the file', async () => {
    const job = await write({ mode: 'replace', schedule: '{ cron: "30 22 * * *" }' });
    expect(await job.apply()).toMatchObject({ outcome: 'created' });
    expect(await job.apply()).toMatchObject({ outcome: 'unchanged', drifted: false });
    await schedule(job).update(({ spec, ...rest }) => ({
      ...rest,
      spec: { ...spec, calendars: [{ hour: 3 }] },
    }));
    expect(await job.apply()).toMatchObject({ outcome: 'updated', drifted: true });
    expect((await schedule(job).describe()).spec.calendars).toMatchObject([
      { hour: [{ start: 22 }], minute: [{ start: 30 }] },
    ]);
    expect(await job.apply()).toMatchObject({ outcome: 'unchanged', drifted: false });

    const { file, name } = job;
    await write({ mode: 'replace', schedule: '{ cron: "45 22 * * *" }' }, name);
    expect(await job.apply()).toMatchObject({ outcome: 'updated', drifted: false });
    const listed = await desk.json('list');
    expect((listed.values[0] as readonly { name: string }[]).find((one) => one.name === name)).toMatchObject({
      state: 'scheduled',
      nextRunAt: expect.stringMatching(/T22:45:00.000Z$/) as string,
    });
    await write({ mode: 'replace' }, name);
    expect(await job.apply()).toMatchObject({ outcome: 'removed' });
    await expect(schedule(job).describe()).rejects.toThrow(/not found/);
    expect(await job.apply()).toMatchObject({ outcome: 'none' });
    expect(file).toContain(name);
  });

  test('of a file with one wrong job of two changes nothing', async () => {
    const name = uniqueJobName('schedule');
    const good = `kind: copy\nname: ${name}\nsource: { store: source, tables: [public.ticks] }\ntarget: { store: target }\nschedule: { cron: "@daily" }\n`;
    const file = await desk.write(
      'two.yaml',
      `${good}---\n${good.replace(name, `${name}-b`).replace('@daily', '@dayly')}`,
    );
    const { code, stderr } = await desk.syncline(['apply', file]);
    expect(code).toBe(2);
    expect(stderr).toContain('@daily');
    await expect(desk.client.schedule.getHandle(`copy/${name}`).describe()).rejects.toThrow(/not found/);
  });
});
