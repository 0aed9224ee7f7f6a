import type { Readable } from 'node:stream';
import type { LoadUnitsInput, LoadUnitsResult, UnitFailure } from '../../definitions/contracts/copy.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { BackupWriter, StoredObject } from '../../stores/spi/artifact.ts';
import type { FileStore } from '../../stores/spi/files.ts';
import type { LoadLedger } from '../../stores/spi/load-ledger.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { sourceOf, targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { type MemoryBudget, unitBufferBytes } from '../memory-budget.ts';
import { pipeThrough } from '../pipe.ts';
import { mirrorObjects } from './mirror.ts';

/** Requests to a store of files in flight for one batch. */
const mostAtOnce = 8;
/** More failures than this in one batch are one failure. */
const maxFailures = 50;

/** Brings objects over as they are, several at a time; each is hashed at the far end before its receipt is written. */
export async function transferObjects(
  dependencies: ActivityDependencies,
  budget: MemoryBudget,
  input: LoadUnitsInput,
): Promise<LoadUnitsResult> {
  const { ref, batch } = input;
  const progress = {
    chunk: batch.label,
    step: 'copying',
    unitsDone: 0,
    units: batch.units,
    rows: 0,
    bytes: 0,
  };
  return await withHeartbeat(
    () => ({ ...progress }),
    async (signal) => {
      const { stores } = dependencies;
      const near = sourceOf(stores, ref);
      const far = targetOf(stores, ref);
      const catalog = requireCapability(near, 'backupCatalog');
      const objects = await catalog.objects(ref.sourceArtifact?.backup ?? '', batch.from - 1, batch.units);
      progress.step = 'mirroring';
      await mirrorObjects(stores, { input, objects, signal });
      progress.step = 'copying';
      const work: BatchWork = {
        dependencies,
        budget,
        input,
        files: requireCapability(stores.get(ref.sourceStore), 'files'),
        writer: requireCapability(far, 'backupWriter'),
        ledger: requireCapability(far, 'loadLedger'),
        signal,
        lanes: lanesFor(input, objects.length),
        progress,
      };
      return await receiveAll(work, objects);
    },
  );
}

interface BatchWork {
  readonly dependencies: ActivityDependencies;
  readonly budget: MemoryBudget;
  readonly input: LoadUnitsInput;
  /** Of the near end. */
  readonly files: FileStore;
  /** Of the far end. */
  readonly writer: BackupWriter;
  readonly ledger: LoadLedger;
  readonly signal: AbortSignal;
  readonly lanes: number;
  readonly progress: { unitsDone: number; bytes: number };
}

function lanesFor({ memoryBytes }: LoadUnitsInput, objects: number): number {
  return Math.max(1, Math.min(mostAtOnce, objects, Math.floor(memoryBytes / unitBufferBytes)));
}

async function receiveAll(work: BatchWork, objects: readonly StoredObject[]): Promise<LoadUnitsResult> {
  const { progress } = work;
  const failed: UnitFailure[] = [];
  const waiting = [...objects];
  const lane = async (): Promise<void> => {
    for (let object = waiting.shift(); object !== undefined; object = waiting.shift()) {
      const failure = await receiveOne(work, object);
      if (failure === null) progress.unitsDone += 1;
      else if (failed.push(failure) > maxFailures) throw new SynclineError(failure.code, failure.message);
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: work.lanes }, lane));
  const broken = lanes.find((each) => each.status === 'rejected');
  if (broken !== undefined) throw broken.reason as Error;
  return { unitsDone: progress.unitsDone, rowsRead: 0, rowsWritten: 0, bytes: progress.bytes, failed };
}

/** Alone, an object fails its activity; in company only what is wrong with this one is set apart. */
async function receiveOne(work: BatchWork, object: StoredObject): Promise<UnitFailure | null> {
  const { input, ledger, dependencies, signal } = work;
  const { ref, batch } = input;
  const startedAt = performance.now();
  try {
    await work.budget.use({ job: ref.job, memoryBytes: input.memoryBytes, signal }, () =>
      work.writer.receive({ ref, object, open: () => open(work, object), signal }),
    );
    if (batch.units === 1) await ledger.deadLetters.clear(ref, object.ordinal);
    dependencies.metrics.unitLoaded(ref.job, (performance.now() - startedAt) / 1_000);
    return null;
  } catch (error) {
    if (signal.aborted || !(error instanceof SynclineError)) throw error;
    dependencies.metrics.unitFailed(ref.job, error.code);
    if (batch.units === 1 || error.retry === 'automatic') throw error;
    return { ordinal: object.ordinal, chunk: object.key, code: error.code, message: error.message };
  }
}

async function open(work: BatchWork, object: StoredObject): Promise<Readable> {
  const { input, signal, dependencies, progress } = work;
  const { ref, throttleBytesPerSecond } = input;
  const body = await work.files.read(`${ref.sourceArtifact?.path ?? ''}/${object.key}`, { signal });
  const piped = pipeThrough(
    { format: 'binary', framed: false, bytes: body },
    {
      ...(throttleBytesPerSecond === undefined
        ? {}
        : { throttleBytesPerSecond: throttleBytesPerSecond / work.lanes }),
      onBytes: (bytes) => {
        progress.bytes += bytes;
        dependencies.metrics.bytesCopied(ref.job, bytes);
        dependencies.memory?.passed(bytes);
      },
      onFirst: () => dependencies.fault.reach('transfer.mid', signal),
      signal,
    },
  );
  return piped.bytes;
}
