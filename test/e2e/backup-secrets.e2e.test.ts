import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import '../support/provided.ts';
import { findFreePort } from '../../worker/local/free-port.ts';
import { eventually } from '../support/eventually.ts';
import { makeClientKey, type Sshd, startSshd } from '../support/sshd.ts';
import { type S3Server, startS3Server } from '../support/versitygw.ts';
import { startWorkerProcess, type StoreSettings, type WorkerProcess } from '../support/worker-process.ts';
import { backupPath } from './lab/backup-rig.ts';
import { createLabDatabase, type LabDatabase } from './lab/database.ts';
import { type FilePlace, s3FilePlace, sftpFilePlace } from './lab/file-place.ts';
import { historyOf } from './lab/history-text.ts';
import { type JobRun, type Jobs, openJobs } from './lab/job-run.ts';
import { sharedPlace } from './lab/shared-place.ts';

const mark = randomBytes(4).toString('hex');
const rowCanary = `CanaryRow${mark}`;
const keyCanary = `CanaryKey${mark}`;
const passphrase = `pass-${mark}"/@:%&+?phrase`;
const encryptionKey = randomBytes(32).toString('hex');
const table = 'CREATE SCHEMA lab; CREATE TABLE lab.t (id text COLLATE "C" PRIMARY KEY, v text)';
const rows = `INSERT INTO lab.t
  SELECT '${keyCanary}' || i, '${rowCanary}' || i || repeat('x', 200) FROM generate_series(1, 8000) i; ANALYZE lab.t`;

describe('a backup that is encrypted', () => {
  let s3: S3Server;
  let sshd: Sshd;
  let source: LabDatabase;
  let target: LabDatabase;
  let worker: WorkerProcess;
  let jobs: Jobs;
  let folder: string;
  let metricsAddress: string;
  let vault: FilePlace;
  let far: FilePlace;
  let privateKey: string;

  beforeAll(async () => {
    const { source: sourceUrl, target: targetUrl, temporalAddress } = sharedPlace();
    [s3, sshd, folder] = await Promise.all([
      startS3Server(inject('versitygw')),
      startSshd(),
      mkdtemp(join(tmpdir(), 'syncline-secrets-')),
    ]);
    [source, target] = await Promise.all([createLabDatabase(sourceUrl), createLabDatabase(targetUrl)]);
    await source.query(`${table}; ${rows}`);
    // The rows break what is there, in an error that quotes them.
    await target.query(`${table}; ALTER TABLE lab.t ADD CHECK (v NOT LIKE '%77%')`);
    const locked = await makeClientKey(sshd.folder, 'locked', passphrase);
    await writeFile(join(sshd.folder, 'authorized_keys'), `${locked.publicKey}\n`, { flag: 'a' });
    privateKey = locked.text;
    vault = s3FilePlace(s3, { prefix: 'secret', key: encryptionKey });
    far = sftpFilePlace(sshd, { rsync: true, key: encryptionKey });
    const farEntry = withoutKeyFile({ ...far.entry, privateKey, passphrase });
    const stores = {
      ...{ source: source.url, target: target.url, vault: vault.entry, far: farEntry },
      misspelt: { ...vault.entry, secretAccessKey: `${s3.secretAccessKey}-wrong` },
      otherKey: { ...vault.entry, encryption: { key: 'f'.repeat(64) } },
    };
    metricsAddress = `127.0.0.1:${String(await findFreePort())}`;
    const settings = [`metrics: { address: '${metricsAddress}' }`, 'log: { level: trace }'];
    const taskQueue = `secrets-${mark}`;
    // The first backup has eight slices: the fault meets the second one.
    const env = { SYNCLINE_FAULT: 'backup.mid:hang:12' };
    worker = await startWorkerProcess({ stores, temporalAddress, taskQueue, settings, env });
    jobs = await openJobs(temporalAddress, taskQueue);
  });

  afterAll(async () => {
    await worker.kill();
    await jobs.close();
    await Promise.all([source.drop(), target.drop()]);
    await Promise.all([s3.stop(), sshd.close(), rm(folder, { recursive: true, force: true })]);
  });

  async function start(name: string, lines: readonly string[]): Promise<JobRun> {
    const file = join(folder, `${name}.yaml`);
    const onFailure = 'onFailure: { mode: skip, attempts: 2, backoff: { initial: 20ms, max: 50ms } }';
    await writeFile(
      file,
      ['kind: backup-restore', `name: ${name}-${mark}`, ...lines, onFailure, ''].join('\n'),
    );
    return await jobs.submit(file);
  }

  /** A store that refuses to be logged in to makes the job stop, and wait. */
  async function run(name: string, lines: readonly string[]): Promise<JobRun> {
    const started = await start(name, lines);
    await eventually(
      async () => !['running', 'unknown'].includes((await started.status())?.state ?? 'unknown'),
    );
    return started;
  }

  it('leaves no key, password, row or key value in histories, log, metrics, or any byte at both ends', async () => {
    const source = 'source: { store: source, tables: [lab.t], chunkBytes: 300KB }';
    const restored = `restore: { store: target, mode: replace }`;
    const runs = [
      await run('whole', [
        source,
        `backup: { store: vault, path: ${backupPath}/, encrypt: true }`,
        `transfer: { to: { store: far, path: ${backupPath}/ } }`,
        restored,
      ]),
      await run('wrong-key', [
        'stages: [restore]',
        `backup: { store: otherKey, path: ${backupPath}/ }`,
        restored,
      ]),
      await run('misspelt', [
        'stages: [backup]',
        source,
        `backup: { store: misspelt, path: other/, encrypt: true }`,
      ]),
    ];
    const midway = await start('midway', [
      'stages: [backup]',
      source,
      'backup: { store: vault, path: midway/, encrypt: true }',
    ]);
    await eventually(async () => (await midway.status())?.chunks.done === 7);
    runs.push(midway);
    const texts = {
      histories: (await Promise.all(runs.map(historyOf))).join('\n'),
      log: worker.output(),
      metrics: await (await fetch(`http://${metricsAddress}/metrics`)).text(),
      vault: await bytesBelow(vault.root),
      far: await bytesBelow(far.root),
    };
    // The search itself must be able to find something in each of them.
    expect(texts.histories.includes('target.constraint'), 'target.constraint').toBe(true);
    expect(texts.histories.includes('artifact.wrongKey'), 'artifact.wrongKey').toBe(true);
    expect(texts.histories.includes('store.authentication'), 'store.authentication').toBe(true);
    expect(texts.log.includes('"level":"debug"'), '"level":"debug"').toBe(true);
    expect(texts.metrics.includes('syncline_units_failed'), 'syncline_units_failed').toBe(true);
    expect(texts.vault.includes('"plan.json"'), 'a plan').toBe(true);
    for (const place of [texts.vault, texts.far])
      expect(place.includes('"manifest'), 'a manifest').toBe(true);
    const secrets = { encryptionKey, passphrase, s3: s3.secretAccessKey, rowCanary, keyCanary };
    const lines = privateKey.split('\n').slice(1, 4);
    for (const [where, text] of Object.entries(texts)) {
      for (const [what, secret] of Object.entries(secrets))
        for (const form of formsOf(secret)) expect(around(text, form), `${what} in ${where}`).toBe('');
      for (const line of lines) expect(around(text, line), `private key in ${where}`).toBe('');
    }
  });
});

function withoutKeyFile(entry: StoreSettings): StoreSettings {
  return Object.fromEntries(Object.entries(entry).filter(([name]) => name !== 'privateKeyFile'));
}

/** Names and content of every file, as one text of single bytes. */
async function bytesBelow(root: string): Promise<string> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const texts: string[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    texts.push(`"${entry.name}"`, (await readFile(path)).toString('latin1'));
  }
  return texts.join('\n');
}

function formsOf(secret: string): string[] {
  return [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    Buffer.from(secret).toString('base64'),
  ];
}

/** Where it was found, for the message. */
function around(text: string, secret: string): string {
  const at = text.indexOf(secret);
  return at === -1 ? '' : text.slice(Math.max(0, at - 300), at + 100);
}
