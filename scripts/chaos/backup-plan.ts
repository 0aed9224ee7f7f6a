import type { Consistency } from '../../definitions/contracts/job.ts';
import type { HttpFault } from '../../test/support/http-faults.ts';
import type { BackupRigOptions } from '../../test/e2e/lab/backup-rig.ts';
import type { Shape } from '../../test/e2e/lab/shape.ts';
import { faultOf, type FileFault, type PlannedFault, unevenParts } from './plan.ts';
import { Random } from './random.ts';

export type FilesKind = 'directory' | 's3' | 'sftp';

/** Everything that a seed decides about several runs of one backup-restore job. */
export interface BackupPlan {
  readonly seed: number;
  readonly shape: Shape;
  readonly vault: FilesKind;
  readonly far: FilesKind;
  readonly rsync: boolean;
  readonly encrypt: boolean;
  readonly compression: 'zstd' | 'gzip' | 'none';
  /** `window`: each run takes the rows since the one before. */
  readonly scope: 'full' | 'window';
  readonly consistency: Consistency;
  /** Newest backups to keep; null: all. */
  readonly keep: number | null;
  readonly rounds: readonly Round[];
}

/** Writers at the source, then one run of the job under faults, then perhaps a bit of its backup that flips. */
export interface Round {
  readonly changes: readonly SourceChange[];
  readonly firstWorkerFault: string;
  readonly faults: readonly (PlannedFault | FileFault)[];
  readonly flip: Flip | null;
}

export type SourceChange =
  | { readonly kind: 'insert'; readonly part: number; readonly rows: number }
  /** Of each partition row by row: every so manyth. */
  | { readonly kind: 'update' | 'delete'; readonly part: number; readonly every: number }
  | { readonly kind: 'truncate'; readonly part: number };

export interface Flip {
  readonly at: 'vault' | 'far';
  /** In [0, 1): which object of the newest backup, and which bit of it. */
  readonly object: number;
  readonly bit: number;
}

const kinds: readonly [FilesKind, ...FilesKind[]] = ['directory', 's3', 'sftp'];
const points = [
  'backup.mid',
  'backup.beforeManifest',
  'cut.beforeNote',
  'transfer.mid',
  'load.mid',
  'load.copied',
  'swap.beforeCommit',
  'swap.afterCommit',
] as const;
const rowOverheadBytes = 50;
/** A stage without faults would take about so long: faults meet it in the middle. */
const wantedSeconds = 2;

export function backupPlanOf(seed: number): BackupPlan {
  const random = new Random(seed);
  const scope = random.pick(['full', 'full', 'window'] as const);
  const shape = shapeOf(random, scope);
  const count = random.between(2, 3);
  return {
    ...{ seed, shape, scope },
    vault: random.pick(kinds),
    far: random.pick(kinds),
    rsync: random.next() < 0.5,
    encrypt: random.next() < 0.5,
    compression: random.pick(['zstd', 'gzip', 'none']),
    consistency: random.pick<Consistency>(['chunk', 'chunk', 'chunk', 'cut', 'cut', 'snapshot']),
    keep: random.next() < 0.5 ? random.between(1, 2) : null,
    rounds: Array.from({ length: count }, (_, index) => roundOf(random, { shape, scope, index })),
  };
}

/** What the plan says of the job, as its YAML has it. */
export function jobOptionsOf({
  scope,
  compression,
  encrypt,
  consistency,
  keep,
}: Pick<BackupPlan, 'scope' | 'compression' | 'encrypt' | 'consistency' | 'keep'>): Pick<
  BackupRigOptions,
  'source' | 'backup' | 'lines'
> {
  return {
    source: scope === 'window' ? 'window: { column: at, from: { watermark: 2026-01-01 }, to: now }' : '',
    backup: `compression: ${compression}, encrypt: ${String(encrypt)}, consistency: ${consistency}`,
    lines: keep === null ? [] : [`keep: { last: ${String(keep)} }`],
  };
}

function shapeOf(random: Random, scope: BackupPlan['scope']): Shape {
  const rowBytes = random.between(32, 200);
  const megabytes = random.between(1, 6);
  const rowsInAll = Math.floor((megabytes * 1_000_000) / (rowBytes + rowOverheadBytes));
  const partitioned = random.next() < 0.8;
  const sliced = random.next() < 0.5 || !partitioned;
  return {
    // Appended again, a full backup would be there twice, as asked for.
    mode: scope === 'full' ? 'replace' : random.pick(['replace', 'append', 'upsert']),
    rows: partitioned ? unevenParts(random, rowsInAll, 16) : [rowsInAll],
    ...{ partitioned, rowBytes },
    parallel: random.between(1, 4),
    verify: random.pick(['none', 'count', 'digest', 'digest']),
    throttle: `${Math.max(200, Math.ceil((megabytes * 1_000) / wantedSeconds))}KB/s`,
    ...(sliced ? { chunkBytes: `${random.between(200, 1_000)}KB` } : {}),
  };
}

interface Setting extends Pick<BackupPlan, 'shape' | 'scope'> {
  readonly index: number;
}

function roundOf(random: Random, { shape, scope, index }: Setting): Round {
  const changes = index === 0 ? 0 : random.between(1, 4);
  return {
    changes: Array.from({ length: changes }, () => changeOf(random, shape, scope)),
    firstWorkerFault: workerFault(random),
    faults: Array.from({ length: random.between(1, 2) }, () =>
      random.next() < 0.4 ? fileFaultOf(random) : faultOf(random, workerFault),
    ),
    flip:
      random.next() < 0.4
        ? { at: random.pick(['vault', 'far']), object: random.next(), bit: random.next() }
        : null,
  };
}

function changeOf(random: Random, shape: Shape, scope: BackupPlan['scope']): SourceChange {
  const part = random.between(0, shape.rows.length - 1);
  const kind =
    scope === 'window'
      ? 'insert'
      : random.pick<SourceChange['kind']>(['insert', 'update', 'update', 'delete', 'truncate']);
  switch (kind) {
    case 'insert':
      return { kind, part, rows: random.between(1, 2_000) };
    case 'truncate':
      return shape.partitioned ? { kind, part } : { kind: 'delete', part, every: 2 };
    default:
      return { kind, part, every: random.pick([1, 7, 1_000]) };
  }
}

function fileFaultOf(random: Random): FileFault {
  const afterMs = random.between(0, 2_500);
  if (random.next() < 0.4) return { afterMs, kind: 'killSshd', awayMs: random.between(0, 1_500) };
  const fault = random.pick<HttpFault>([
    { status: 500, code: 'InternalError' },
    { status: 503, code: 'SlowDown' },
    { breakUpAfter: random.between(0, 30_000) },
    { breakDownAfter: random.between(0, 30_000) },
  ]);
  const method = random.pick(['PUT', 'PUT', 'GET', 'HEAD', 'POST', 'DELETE'] as const);
  return { afterMs, kind: 'failS3', method, fault, times: random.between(1, 12) };
}

function workerFault(random: Random): string {
  if (random.next() < 0.4) return '';
  return `${random.pick(points)}:${random.pick(['kill', 'error'])}:${random.between(1, 5)}`;
}
