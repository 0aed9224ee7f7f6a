import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { nextStepsOf, syncline } from './next-steps.ts';
import { runCli } from './processes.ts';
import {
  compareSides,
  count,
  type Finished,
  type QuickstartResult,
  type Scene,
  setScene,
  type Surroundings,
} from './scene.ts';

/** Of the second run: what the one changed partition cost. */
export interface BackupQuickstartResult extends QuickstartResult {
  /** Objects with rows, in the vault. */
  readonly fullObjects: number;
  readonly incrementalObjects: number;
  readonly referredObjects: number;
  readonly changedRows: number;
}

const job = { file: 'examples/backup-restore-once.yaml', name: 'trades-once' };
const changed = { partition: 'public.trades_20230111', symbols: '000100' };

/** Into files, onto another disk, into the other server; then one partition changes, and the same again. */
export async function backupRestoreQuickstart(surroundings: Surroundings): Promise<Finished> {
  const { say } = surroundings;
  const scene = await setScene(surroundings, (folder) => ({
    VAULT: join(folder, 'vault'),
    DISK: join(folder, 'disk'),
    BACKUP_KEY: randomBytes(32).toString('hex'),
  }));
  const { folder, config, envFile } = scene.workspace;
  const [vault, disk] = [join(folder, 'vault', job.name), join(folder, 'disk', job.name)];
  for (const place of [vault, disk]) await mkdir(dirname(place));
  say(
    `  Files go to ${vault} and from there to ${disk}, encrypted with a key made for this act (in ${envFile}).`,
  );
  const full = await runAndCompare(surroundings, scene);
  const fullObjects = await objectsIn(vault);
  say(`  ${count(fullObjects)} objects with rows, one a partition.`);
  say(`Changing rows of ${changed.partition} on the source …`);
  const changedRows = await changeRows(scene);
  say(`  ${count(changedRows)} rows changed. The same job again:`);
  const second = await runAndCompare(surroundings, scene);
  const incrementalObjects = (await objectsIn(vault)) - fullObjects;
  const referredObjects = fullObjects - incrementalObjects;
  say(
    `  ${count(incrementalObjects)} object written, ${count(referredObjects)} of the first backup referred to; each backup can be restored on its own.`,
  );
  say('What lies on the disk, as anybody with the key sees it without a server:');
  const listed = await runCli(
    ['backup', 'list', disk, '--key-env', 'BACKUP_KEY'],
    scene.workspace,
    surroundings.quiet,
  );
  const ok = full.ok && second.ok && listed === 0 && incrementalObjects === 1 && changedRows > 0;
  const result: BackupQuickstartResult = {
    ...{ ...second, ok, fullObjects, incrementalObjects, referredObjects, changedRows },
  };
  const nextSteps = nextStepsOf(scene, result, [
    `${syncline} status ${job.name} --config ${config}`,
    `${syncline} backup list ${disk} --key-env BACKUP_KEY`,
    `${syncline} backup verify ${disk} --key-env BACKUP_KEY     # hashes and reads every object; no server is asked`,
    `${syncline} run ${job.file} --wait --config ${config}     # again: nothing has changed, nothing is written`,
    `ls -R ${vault}`,
  ]);
  return { result, nextSteps };
}

async function runAndCompare({ say, quiet }: Surroundings, scene: Scene): Promise<QuickstartResult> {
  const { workspace } = scene;
  say(`Submitting ${job.file} …`);
  const status = await runCli(['run', job.file, '--wait', '--config', workspace.config], workspace, quiet);
  return await compareSides(scene, { kind: 'backup-restore', name: job.name, status }, say);
}

async function changeRows({ stack }: Scene): Promise<number> {
  const client = new pg.Client({ connectionString: stack.postgres.source.url });
  await client.connect();
  try {
    const { rowCount } = await client.query(
      `UPDATE ${changed.partition} SET price = price + 0.01 WHERE sym <= $1`,
      [changed.symbols],
    );
    return rowCount ?? 0;
  } finally {
    await client.end();
  }
}

/** Counted on the disk, by nobody's word. */
async function objectsIn(place: string): Promise<number> {
  const entries = await readdir(join(place, 'data'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return entries.filter((entry) => entry.isFile()).length;
}
