import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { findFreePort } from '../../worker/local/free-port.ts';
import { type Cli, createCli } from './lab/cli.ts';
import { createLabDatabase, type LabDatabase, queryOnce } from './lab/database.ts';
import { historyOf } from './lab/history-text.ts';
import { type JobRun, type Jobs, openJobs } from './lab/job-run.ts';
import { sharedPlace } from './lab/shared-place.ts';

const mark = randomBytes(4).toString('hex');
/** With letters that URLs, JSON and regular expressions write in other ways. */
const password = `pa55-${mark}"/@:%&+?`;
const rowCanary = `CanaryRow${mark}`;
const keyCanary = `CanaryKey${mark}`;
const role = `secretive_${mark}`;

const tables = `
  CREATE SCHEMA lab;
  CREATE TABLE lab.good (id text PRIMARY KEY, v text);
  CREATE TABLE lab.constrained (id text PRIMARY KEY, v text);
  CREATE TABLE lab.doubled (id text PRIMARY KEY, v text);
  CREATE TABLE lab.typed (id text PRIMARY KEY, v text);
  CREATE TABLE lab.changed (id text PRIMARY KEY, v text);
  CREATE TABLE lab.trigger (id text PRIMARY KEY, v text);`;
const rows = ['good', 'constrained', 'doubled', 'typed', 'changed', 'trigger']
  .map(
    (name) => `INSERT INTO lab.${name}
      SELECT '${keyCanary}' || i, '${rowCanary}' || i || repeat('x', 200) FROM generate_series(1, 2000) i;`,
  )
  .join('\n');

/** Each breaks in another place, with an error of the server that quotes rows or keys. */
const obstacles = `
  ALTER TABLE lab.constrained ADD CHECK (v NOT LIKE '%7%');
  ALTER TABLE lab.doubled ADD UNIQUE (v);
  INSERT INTO lab.doubled SELECT 'mine' || i, '${rowCanary}' || i || repeat('x', 200) FROM generate_series(1, 5) i;
  CREATE DOMAIN lab.picky AS text CHECK (VALUE NOT LIKE '${rowCanary}9%');
  ALTER TABLE lab.typed ALTER v TYPE lab.picky;
  CREATE FUNCTION lab.refuse() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'not this one: %', NEW USING DETAIL = NEW.id, HINT = NEW.v; END $$;
  CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON lab.trigger FOR EACH ROW EXECUTE FUNCTION lab.refuse();
  ALTER TABLE lab.trigger ENABLE ALWAYS TRIGGER refuse;`;

describe('passwords, rows and keys', () => {
  let source: LabDatabase;
  let target: LabDatabase;
  let cli: Cli;
  let worker: WorkerProcess;
  let jobs: Jobs;
  let folder: string;
  let metricsAddress: string;
  const taskQueue = `secrets-${mark}`;
  const runs: JobRun[] = [];

  beforeAll(async () => {
    const place = sharedPlace();
    folder = await mkdtemp(join(tmpdir(), 'syncline-secrets-'));
    [source, target] = await Promise.all([createLabDatabase(place.source), createLabDatabase(place.target)]);
    await source.query(`${tables}${rows} ANALYZE`);
    await target.query(`${tables}${obstacles}`);
    for (const database of [source, target]) {
      await database.query(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD '${password}'`);
    }
    const stores = {
      source: asRole(source.url, password),
      target: asRole(target.url, password),
      misspelt: asRole(source.url, `${password}wrong`),
    };
    metricsAddress = `127.0.0.1:${await findFreePort()}`;
    const options = { stores, temporalAddress: place.temporalAddress, taskQueue };
    const settings = [`metrics: { address: '${metricsAddress}' }`, 'log: { level: trace }'];
    [cli, worker] = await Promise.all([createCli(options), startWorkerProcess({ ...options, settings })]);
    jobs = await openJobs(place.temporalAddress, taskQueue);
  });

  afterAll(async () => {
    await worker.kill();
    await jobs.close();
    await cli.end();
    await rm(folder, { recursive: true, force: true });
    for (const database of [source, target]) {
      await database.drop();
    }
    const place = sharedPlace();
    await dropRole(place.source);
    await dropRole(place.target);
  });

  async function submit(name: string, lines: readonly string[]): Promise<void> {
    const file = join(folder, `${name}.yaml`);
    const onFailure = 'onFailure: { mode: skip, attempts: 2, backoff: { initial: 20ms, max: 50ms } }';
    await writeFile(file, ['kind: copy', `name: ${name}-${mark}`, ...lines, onFailure, ''].join('\n'));
    runs.push(await jobs.submit(file));
  }

  it('are in no history, no log and no metric, whatever goes wrong with them', async () => {
    const sliced = 'chunkBytes: 100KB';
    for (const table of ['good', 'constrained', 'doubled', 'typed', 'trigger']) {
      for (const mode of ['replace', 'upsert', 'append']) {
        await submit(`${table}-${mode}`, [
          `source: { store: source, tables: [lab.${table}], ${sliced} }`,
          `target: { store: target, mode: ${mode} }`,
        ]);
      }
    }
    await submit('misspelt', [
      'source: { store: misspelt, tables: [lab.good] }',
      'target: { store: target }',
    ]);
    const ended = runs.slice(0, -1);
    const outcomes = await Promise.all(ended.map((run) => run.ended()));
    const skipped = outcomes.filter(
      (outcome) => outcome.kind === 'result' && outcome.result.chunks.skipped > 0,
    );
    expect(skipped.length).toBeGreaterThanOrEqual(6);
    await eventually(async () => (await runs.at(-1)?.status())?.reasonCode === 'store.authentication');

    const histories = await Promise.all(runs.map(historyOf));
    const metrics = await (await fetch(`http://${metricsAddress}/metrics`)).text();
    const status = await cli.run(['status', `constrained-replace-${mark}`, '-o', 'json']);
    const plan = await cli.run(['plan', 'bad.yaml'], {
      'bad.yaml':
        'kind: copy\nname: bad\nsource: { store: misspelt, tables: [lab.good] }\ntarget: { store: target }\n',
    });
    const texts = {
      histories: histories.join('\n'),
      log: worker.output(),
      metrics,
      cli: said(status) + said(plan),
    };
    // The search itself must be able to find something in each of them.
    expect(texts.histories).toContain(`constrained-replace-${mark}`);
    expect(texts.histories).toContain('target.constraint');
    expect(texts.histories).toContain('"verify":"count"');
    expect(texts.log).toContain('"level":"debug"');
    expect(texts.metrics).toContain('syncline_units_failed');
    expect(texts.cli).toContain('store.authentication');
    for (const [where, text] of Object.entries(texts)) {
      for (const secret of formsOf(password)) expect(text, `password in ${where}`).not.toContain(secret);
      expect(around(text, rowCanary), `a row in ${where}`).toBe('');
      expect(around(text, keyCanary), `a key in ${where}`).toBe('');
    }
  });
});

function formsOf(secret: string): string[] {
  return [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), `pa55-${mark}`];
}

/** Where it was found, for the message. */
function around(text: string, canary: string): string {
  const at = text.indexOf(canary);
  return at === -1 ? '' : text.slice(Math.max(0, at - 300), at + 100);
}

function asRole(url: string, secret: string): string {
  const changed = new URL(url);
  changed.username = role;
  changed.password = encodeURIComponent(secret);
  return changed.href;
}

function said({ stdout, stderr }: { stdout: string; stderr: string }): string {
  return stdout + stderr;
}

async function dropRole(serverUrl: string): Promise<void> {
  await queryOnce(serverUrl, `DROP ROLE IF EXISTS ${role}`);
}
