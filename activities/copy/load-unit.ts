import type { LoadHeartbeat, LoadRef } from '../../definitions/contracts/copy.ts';
import type { VerifyMode } from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { ChunkSource, LoadUnit, TablePlan, UnitReading } from '../../stores/spi/chunk-source.ts';
import type {
  BeginWriting,
  ChunkTarget,
  CommitHooks,
  LoadedUnit,
  UnitReceipt,
  UnitWriting,
} from '../../stores/spi/chunk-target.ts';
import type { Digest, SnapshotMark } from '../../stores/spi/rows.ts';
import type { FaultPoints } from '../dependencies.ts';
import { pipeThrough } from '../pipe.ts';

/** One unit on its way: everything that its steps need. */
export interface UnitWork {
  readonly ref: LoadRef;
  readonly plan: TablePlan;
  readonly unit: LoadUnit;
  readonly source: ChunkSource;
  readonly target: ChunkTarget;
  readonly verify: VerifyMode;
  /** Rows that are on the target already, by digest, are not written again. */
  readonly onlyChanged?: boolean;
  /** Exported snapshot to read under; absent: each unit under its own. */
  readonly snapshot?: string;
  /** Absent where no log follows. Before the commit: what was read is durable on the source (`LogSource.settle`). */
  readonly settle?: (mark: SnapshotMark) => Promise<void>;
  readonly attempt: number;
  readonly throttleBytesPerSecond?: number;
  readonly signal: AbortSignal;
  readonly fault: FaultPoints;
  readonly progress: UnitProgress;
}

export interface UnitProgress {
  step(step: LoadHeartbeat['step']): void;
  bytes(count: number): void;
}

/**
 * Brings one unit over: ledger, snapshot, COPY, keys, comparison, exchange. Everything on the target is one
 * transaction, so a kill at any line leaves either nothing or a ledger row; see design 3.2.
 */
export async function loadUnit(work: UnitWork): Promise<LoadedUnit> {
  work.progress.step('waiting');
  await keepChunk(work);
  const begun = await work.target.begin(beginOf(work));
  if ('loaded' in begun) return begun.loaded;
  const { writing } = begun;
  let reading: UnitReading | null = null;
  try {
    reading = await openReading(work, writing);
    const spared = await withoutRows(work, reading, writing);
    if (spared !== null) return spared;
    const { kept, ...copied } = await copyRows(work, reading, writing);
    const verified = await buildAndVerify(work, { reading, writing, copied });
    const { mark } = reading;
    const content = writing.refer === undefined ? null : ((await reading.content?.()) ?? null);
    // The digest is that of all rows: it says nothing of those that stay.
    const loaded =
      kept === undefined ? { ...copied, digest: verified } : { ...copied, rows: kept, digest: null };
    // The source is not needed any more; its transaction ends while the target's does.
    await Promise.all([commit(work, writing, { ...loaded, mark, content }), reading.close()]);
    return loaded;
  } finally {
    await Promise.all([reading?.close(), writing.abort()]);
  }
}

/** Completes a sliced chunk in the same steps; its rows are there already. */
export async function finishUnit(work: UnitWork): Promise<LoadedUnit> {
  work.progress.step('waiting');
  const begun = await work.target.beginFinish(beginOf(work));
  if ('loaded' in begun) return begun.loaded;
  const { writing, slices } = begun;
  try {
    work.progress.step('indexing');
    await writing.build();
    work.progress.step('verifying');
    if (work.verify !== 'none')
      expectSame(work, 'count', { read: slices.rows, there: await writing.count() });
    // Slices out of a backup that was made without digests have none either.
    if (work.verify === 'digest' && slices.digest !== null)
      expectSame(work, 'digest', { read: slices.digest, there: await writing.digest() });
    const mark = { snapshot: '', insertPosition: '0/0', systemId: '', timeline: 0 };
    await commit(work, writing, { ...slices, mark });
    return slices;
  } finally {
    await writing.abort();
  }
}

/** The slices of a chunk that is there already are found in the ledger afterwards. */
async function keepChunk(work: UnitWork): Promise<void> {
  const { source, target, plan, unit } = work;
  if (work.onlyChanged !== true || unit.kind !== 'slice' || target.keepChunk === undefined) return;
  const slices = await source.announcedSlices?.(plan, unit);
  if (slices !== undefined && slices !== null) await target.keepChunk(beginOf(work), slices);
}

async function openReading(work: UnitWork, writing: UnitWriting): Promise<UnitReading> {
  return await work.source.open({
    plan: work.plan,
    unit: work.unit,
    verify: work.verify,
    framed: work.target.takesFramed,
    job: work.ref.job,
    ...(work.snapshot === undefined ? {} : { snapshot: work.snapshot }),
    ...(writing.refer === undefined ? {} : { remembered: true }),
    signal: work.signal,
  });
}

/** Where the same rows are on the target already, or in an earlier load that it can refer to, none travels. */
async function withoutRows(
  work: UnitWork,
  reading: UnitReading,
  writing: UnitWriting,
): Promise<LoadedUnit | null> {
  const { announced, mark } = reading;
  if (work.onlyChanged === true && writing.keep !== undefined && typeof announced?.digest === 'string') {
    work.progress.step('verifying');
    const kept = { rows: announced.rows, bytes: 0, digest: announced.digest };
    if (await writing.keep({ ...kept, mark }, hooksOf(work))) return kept;
  }
  const { earlier } = writing;
  if (earlier === undefined || earlier === null || writing.refer === undefined) return null;
  work.progress.step('verifying');
  if ((await reading.unchangedSince?.(earlier)) !== true) return null;
  return await writing.refer({ mark, content: (await reading.content?.()) ?? null }, hooksOf(work));
}

function beginOf(work: UnitWork): BeginWriting {
  const { ref, plan, unit, attempt, verify, signal } = work;
  return { ref, plan, unit, attempt, verify, signal };
}

interface Copied {
  readonly rows: number;
  readonly bytes: number;
}

interface CopiedRows extends Copied {
  /** Fewer than `rows`, where the target leaves some out. */
  readonly kept?: number;
}

async function copyRows(work: UnitWork, reading: UnitReading, writing: UnitWriting): Promise<CopiedRows> {
  work.progress.step('copying');
  const rows = pipeThrough(reading.rows(), {
    ...(work.throttleBytesPerSecond === undefined
      ? {}
      : { throttleBytesPerSecond: work.throttleBytesPerSecond }),
    onBytes: (bytes) => work.progress.bytes(bytes),
    onFirst: () => work.fault.reach(work.plan.strategy === 'object' ? 'backup.mid' : 'load.mid', work.signal),
    signal: work.signal,
  });
  const written = await writing.write(rows);
  const copied = await reading.copied();
  await work.fault.reach('load.copied', work.signal);
  if (written.rows !== null) expectSame(work, 'count', { read: copied.rows, there: written.rows });
  return written.kept === undefined ? copied : { ...copied, kept: written.kept };
}

interface CopiedUnit {
  readonly reading: UnitReading;
  readonly writing: UnitWriting;
  readonly copied: Copied;
}

/** The source computes its digest under the copy's own snapshot while the target builds its indexes. */
async function buildAndVerify(
  work: UnitWork,
  { reading, writing, copied }: CopiedUnit,
): Promise<Digest | null> {
  work.progress.step('indexing');
  const [digest] = await Promise.all([
    work.verify === 'digest' ? reading.digest() : Promise.resolve(null),
    writing.build(),
  ]);
  work.progress.step('verifying');
  await verifyWritten(work, writing, { ...copied, digest });
  return digest;
}

/**
 * A backup keeps the digest of the source and cannot compute one, and one that was made without has none to compare
 * with: in both cases `digest` falls back to counting, as far as the target counts.
 */
async function verifyWritten(work: UnitWork, writing: UnitWriting, read: LoadedUnit): Promise<void> {
  if (work.verify === 'none') return;
  const digest = work.verify === 'digest' && read.digest !== null ? await writing.digest() : null;
  if (digest !== null) {
    expectSame(work, 'digest', { read: read.digest, there: digest });
    return;
  }
  const count = await writing.count();
  if (count !== null) expectSame(work, 'count', { read: read.rows, there: count });
}

async function commit(work: UnitWork, writing: UnitWriting, receipt: UnitReceipt): Promise<void> {
  work.progress.step('swapping');
  if (work.unit.kind !== 'finish') await work.settle?.(receipt.mark);
  await writing.commit(receipt, hooksOf(work));
  await work.fault.reach('swap.afterCommit', work.signal);
}

function hooksOf(work: UnitWork): CommitHooks {
  return {
    beforeCommit: () => work.fault.reach('swap.beforeCommit', work.signal),
    onBlocked: () => work.progress.step('swapping'),
  };
}

interface Compared {
  readonly read: number | Digest | null;
  readonly there: number | Digest | null;
}

/** Before the exchange, so a difference never becomes visible. Digests and counts are no row values. */
function expectSame(work: UnitWork, what: 'count' | 'digest', found: Compared): void {
  if (found.read === found.there) return;
  const { chunk } = work.unit;
  throw new SynclineError(
    what === 'count' ? 'verify.countDiffers' : 'verify.digestDiffers',
    `Chunk ${chunk}: ${what} ${String(found.read)} was read and ${String(found.there)} is there after writing.`,
    { details: { chunk } },
  );
}
