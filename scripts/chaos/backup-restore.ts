import { randomBytes } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobResult } from '../../definitions/contracts/jobs.ts';
import { reportOf } from '../../test/e2e/lab/backup-checks.ts';
import { backupPath, type BackupRig, createBackupRig } from '../../test/e2e/lab/backup-rig.ts';
import { directoryPlace, type FilePlace, s3FilePlace, sftpFilePlace } from '../../test/e2e/lab/file-place.ts';
import { stagingTables } from '../../test/e2e/lab/checks.ts';
import { type HttpFaults, startHttpFaults } from '../../test/support/http-faults.ts';
import { type Sshd, startSshd } from '../../test/support/sshd.ts';
import { findVersitygw, type S3Server, startS3Server } from '../../test/support/versitygw.ts';
import { applyChange, contentOf, differenceFrom, type Rows, rowsSince } from './backup-model.ts';
import {
  type BackupPlan,
  backupPlanOf,
  type FilesKind,
  type Flip,
  jobOptionsOf,
  type Round,
} from './backup-plan.ts';
import type { ChaosRun, ChaosScene, Trials } from './copy.ts';
import { commit, describeFault, Staff } from './faults.ts';
import { complaintAbout, endOf } from './outcome.ts';

interface BackupScene extends ChaosScene {
  readonly s3: S3Server;
  readonly faults: HttpFaults;
  readonly sshd: Sshd;
}

export async function openBackupScene(scene: ChaosScene): Promise<Trials> {
  const s3 = await startS3Server(await findVersitygw(scene.say));
  const sshd = await startSshd();
  const faults = await startHttpFaults(s3.endpoint);
  return {
    trial(seed) {
      const plan = backupPlanOf(seed);
      const title = `${plan.rounds.length} ${plan.scope} backups, ${plan.vault} to ${plan.far}, ${plan.shape.mode}`;
      return { plan, title, run: () => runBackups(plan, { ...scene, s3, sshd, faults }) };
    },
    async close() {
      await faults.close();
      await Promise.all([s3.stop(), sshd.close()]);
    },
  };
}

async function runBackups(plan: BackupPlan, scene: BackupScene): Promise<ChaosRun> {
  const key = plan.encrypt ? randomBytes(32).toString('hex') : undefined;
  const [vault, far] = [
    await placeOf('vault', key, { plan, scene }),
    await placeOf('far', key, { plan, scene }),
  ];
  const options = { shape: plan.shape, vault, far, ...jobOptionsOf(plan) };
  const rig = await createBackupRig(scene.place, options);
  try {
    return await new BackupTrial(plan, scene, rig).run();
  } finally {
    scene.faults.heal();
    await rig.end();
  }
}

interface Placing {
  readonly plan: BackupPlan;
  readonly scene: BackupScene;
}

async function placeOf(
  name: 'vault' | 'far',
  key: string | undefined,
  { plan, scene }: Placing,
): Promise<FilePlace> {
  const kind: FilesKind = plan[name];
  const own = `${name}-${String(plan.seed)}-${randomBytes(3).toString('hex')}`;
  const sealed = key === undefined ? {} : { key };
  switch (kind) {
    case 'directory':
      return await directoryPlace(sealed);
    case 's3':
      return s3FilePlace(scene.s3, { prefix: own, endpoint: scene.faults.endpoint, ...sealed });
    case 'sftp':
      return sftpFilePlace(scene.sshd, { rsync: plan.rsync, folder: own, ...sealed });
  }
}

/** One job, run several times, and what each of its backups must hold. */
class BackupTrial {
  private readonly plan: BackupPlan;
  private readonly scene: BackupScene;
  private readonly rig: BackupRig;
  private readonly staff: Staff;
  /** By the backup's id, oldest first. */
  private readonly held = new Map<string, Rows>();
  private before: Rows = new Map();
  private readonly complaints: string[] = [];
  private readonly sums = { lost: 0, doubled: 0, torn: 0, faults: 0, copiedBytes: 0, recopiedBytes: 0 };
  private checks = 0;

  constructor(plan: BackupPlan, scene: BackupScene, rig: BackupRig) {
    this.plan = plan;
    this.scene = scene;
    this.rig = rig;
    this.staff = new Staff(rig);
  }

  async run(): Promise<ChaosRun> {
    const { plan } = this;
    for (const [index, round] of plan.rounds.entries()) {
      this.scene.say(`  run ${String(index + 1)}: ${JSON.stringify(round.changes)}`);
      await this.runRound(round);
      if (this.complaints.length > 0) break;
      if (round.flip !== null) await this.flipped(round.flip);
    }
    if (this.complaints.length === 0) await this.restoreAll();
    const { faults, ...sums } = this.sums;
    return {
      ...sums,
      faults: faults + this.staff.ownFaults,
      different: false,
      complaint: this.complaints.length === 0 ? null : this.complaints.join(' '),
    };
  }

  private async runRound(round: Round): Promise<void> {
    const { rig, staff, plan, sums } = this;
    for (const change of round.changes) await applyChange(rig.source, change, plan.shape.rowBytes);
    const all = await contentOf(rig.source);
    await staff.hire(round.firstWorkerFault);
    const wire = rig.network.source.bytesDown;
    const run = await rig.submit();
    for (const fault of round.faults) {
      await delay(fault.afterMs);
      this.scene.say(`    ${describeFault(fault)}`);
      sums.faults += 1;
      const { place, faults: s3, sshd } = this.scene;
      await commit(fault, { place, rig, staff, s3, sshd });
    }
    // A worker may have died of its own fault: somebody must be left.
    await staff.hire('');
    let outcome = await endOf(run);
    this.scene.faults.heal();
    await staff.killOthers();
    // One snapshot for all chunks dies with its session, as promised; the cure is another run.
    if (outcome?.kind === 'failed' && outcome.code === 'source.snapshotLost') {
      this.scene.say('    the snapshot is lost: another run');
      outcome = await endOf(await rig.submit());
    }
    const complaint = complaintAbout(outcome);
    if (complaint !== null) this.complaints.push(complaint);
    if (outcome?.kind !== 'result' || !('stages' in outcome.result)) return;
    this.addTraffic(outcome.result, rig.network.source.bytesDown - wire);
    const { backup } = outcome.result;
    if (backup !== null) this.held.set(backup, plan.scope === 'full' ? all : rowsSince(this.before, all));
    this.before = all;
    this.addDifference('the target', await differenceFrom(all, rig.target, 'lab.t'));
    await this.lookAtPlaces();
  }

  /** Each row travels in a frame of its own; statements and catalogue reads are some per unit. */
  private addTraffic(result: JobResult, wireBytes: number): void {
    if (!('stages' in result)) return;
    const stage = result.stages.find((one) => one.stage === 'backup');
    if (stage === undefined) return;
    const once = stage.bytes + stage.rows * 5 + 60_000 + stage.chunks.total * 2_000;
    this.sums.copiedBytes += stage.bytes;
    this.sums.recopiedBytes += Math.max(0, wireBytes - once);
  }

  private addDifference(where: string, { lost, doubled }: { lost: number; doubled: number }): void {
    this.sums.lost += lost;
    this.sums.doubled += doubled;
    if (lost + doubled > 0)
      this.complaints.push(`In ${where} ${lost} rows are lost and ${doubled} too many.`);
  }

  private addTorn(what: readonly string[]): void {
    this.sums.torn += what.length;
    if (what.length > 0) this.complaints.push(what.slice(0, 5).join(', '));
  }

  private get kept(): readonly string[] {
    const all = [...this.held.keys()];
    return this.plan.keep === null ? all : all.slice(-this.plan.keep);
  }

  private async lookAtPlaces(): Promise<void> {
    for (const name of ['vault', 'far'] as const) {
      const { backups, broken, unnamed, work, leftovers } = await reportOf(this.rig[name]);
      this.addTorn(broken.map((key) => `broken in ${name}: ${key}`));
      this.addTorn([...unnamed, ...work, ...leftovers].map((key) => `left in ${name}: ${key}`));
      const wrong =
        JSON.stringify(backups) === JSON.stringify(this.kept) ? [] : [`${name} keeps ${backups.join()}`];
      this.addTorn(wrong);
    }
    this.addTorn(await stagingTables(this.rig.target));
  }

  /** A restore must refuse with the name of the object, and change nothing. */
  private async flipped({ at, object, bit }: Flip): Promise<void> {
    const backup = this.kept.at(-1) ?? '';
    const data = join(this.rig[at].root, backupPath, 'data');
    const files = (await readdir(data, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && entry.name.startsWith(`${backup}.`))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    const file = files[Math.floor(object * files.length)];
    if (file === undefined) return;
    this.scene.say(`    a bit flips in ${file}`);
    this.sums.faults += 1;
    await flipBit(file, bit);
    const schema = this.nextSchema();
    const outcome = await endOf(await this.rig.submitText(this.restoreText(backup, at, schema)));
    await flipBit(file, bit);
    const isRefused =
      outcome?.kind === 'failed' &&
      outcome.findings?.some((finding) => finding.code === 'artifact.corrupt') === true;
    const made = await this.rig.target.query(`SELECT FROM pg_namespace WHERE nspname = '${schema}'`);
    if (!isRefused || made.length > 0)
      this.addTorn([`a flipped bit was not refused (${outcome?.kind ?? 'no end'})`]);
  }

  /** Each backup that is kept, by itself, into a schema of its own; from one of its two places. */
  private async restoreAll(): Promise<void> {
    for (const [index, backup] of this.kept.entries()) {
      const at = index % 2 === 0 ? 'far' : 'vault';
      const schema = this.nextSchema();
      const outcome = await endOf(await this.rig.submitText(this.restoreText(backup, at, schema)));
      const complaint = complaintAbout(outcome);
      if (complaint !== null) {
        this.complaints.push(`Backup ${backup} from ${at}: ${complaint}`);
        continue;
      }
      const expected = this.held.get(backup) ?? new Map<string, string>();
      this.addDifference(backup, await differenceFrom(expected, this.rig.target, `${schema}.t`));
    }
  }

  private nextSchema(): string {
    this.checks += 1;
    return `check_${String(this.checks)}`;
  }

  private restoreText(backup: string, at: 'vault' | 'far', schema: string): string {
    return [
      'kind: backup-restore',
      `name: ${this.rig.name}-${schema.replace('_', '-')}`,
      'stages: [restore]',
      `backup: { store: ${at}, path: ${backupPath}/ }`,
      `restore: { store: target, backup: ${backup}, schema: ${schema}, createTables: true }`,
      'onFailure: { backoff: { initial: 200ms, max: 1s } }',
      '',
    ].join('\n');
  }
}

/** Twice is not at all. */
async function flipBit(file: string, where: number): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    const { size } = await handle.stat();
    const at = Math.floor(where * size);
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ (1 << (Math.floor(where * 1_000_003) % 8));
    await handle.write(byte, 0, 1, at);
  } finally {
    await handle.close();
  }
}
