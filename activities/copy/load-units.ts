import { Context } from '@temporalio/activity';
import type {
  LoadHeartbeat,
  LoadRef,
  LoadUnitsInput,
  LoadUnitsResult,
  UnitFailure,
} from '../../definitions/contracts/copy.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { isLinkLoad } from '../../planning/link-load.ts';
import type { LoadUnit, TablePlan } from '../../stores/spi/chunk-source.ts';
import type { LoadedUnit } from '../../stores/spi/chunk-target.ts';
import type { LoadLedger, StoredLoad } from '../../stores/spi/load-ledger.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { sourceOf, targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import { finishUnit, loadUnit, type UnitWork } from './load-unit.ts';

/** More failures than this in one batch are one failure: something is wrong with more than a chunk. */
const maxFailures = 50;

/** Plans do not change once written, so a worker reads each once. Few jobs run at a time; the oldest is dropped. */
const remembered = new Map<string, RecalledLoad>();

interface RecalledLoad extends StoredLoad {
  /** Under which all units are read; it is there before the plan is. */
  readonly snapshot: string | null;
  /** A log brings its units to one instant later. */
  readonly followed: boolean;
}

type OneUnit = (work: UnitWork) => Promise<LoadedUnit>;

export function loadUnits(
  dependencies: ActivityDependencies,
  budget: MemoryBudget,
  input: LoadUnitsInput,
): Promise<LoadUnitsResult> {
  return runBatch({ dependencies, budget, input, one: loadUnit });
}

/** The rows of a chunk were counted with its slices. */
export async function finishChunk(
  dependencies: ActivityDependencies,
  budget: MemoryBudget,
  input: LoadUnitsInput,
): Promise<LoadUnitsResult> {
  const result = await runBatch({ dependencies, budget, input, one: finishUnit });
  return { ...result, rowsRead: 0, rowsWritten: 0, bytes: 0 };
}

interface Batch {
  readonly dependencies: ActivityDependencies;
  readonly budget: MemoryBudget;
  readonly input: LoadUnitsInput;
  readonly one: OneUnit;
}

async function runBatch(batch: Batch): Promise<LoadUnitsResult> {
  const { input, budget, dependencies } = batch;
  const beat = {
    chunk: input.batch.label,
    step: 'waiting',
    unitsDone: 0,
    units: input.batch.units,
    rows: 0,
    bytes: 0,
  };
  const progress = beat as { -readonly [Key in keyof LoadHeartbeat]: LoadHeartbeat[Key] };
  return await withHeartbeat(
    () => ({ ...progress }),
    (signal) =>
      budget.use({ job: input.ref.job, memoryBytes: input.memoryBytes, signal }, async () => {
        const ledger = requireCapability(targetOf(dependencies.stores, input.ref), 'loadLedger');
        const stored = await recall(dependencies.stores, input.ref);
        const units = await ledger.plans.units(input.ref, input.batch.from, input.batch.to);
        const sum = { unitsDone: 0, rowsRead: 0, rowsWritten: 0, bytes: 0, failed: [] as UnitFailure[] };
        for (const unit of units) {
          const done = await oneOf(batch, { unit, stored, ledger, signal, progress });
          if ('failure' in done) {
            sum.failed.push(done.failure);
            if (sum.failed.length > maxFailures) throw done.error;
            continue;
          }
          sum.unitsDone += 1;
          sum.rowsRead += done.loaded.rows;
          sum.rowsWritten += done.loaded.rows;
          sum.bytes += done.loaded.bytes;
          progress.unitsDone = sum.unitsDone;
          progress.rows = sum.rowsRead;
        }
        return sum;
      }),
  );
}

interface Turn {
  readonly unit: LoadUnit;
  readonly stored: RecalledLoad;
  readonly ledger: LoadLedger;
  readonly signal: AbortSignal;
  readonly progress: { -readonly [Key in keyof LoadHeartbeat]: LoadHeartbeat[Key] };
}

type Outcome =
  { readonly loaded: LoadedUnit } | { readonly failure: UnitFailure; readonly error: SynclineError };

async function oneOf(batch: Batch, turn: Turn): Promise<Outcome> {
  const { dependencies, input } = batch;
  const { unit } = turn;
  turn.progress.chunk = unit.slice === 0 ? unit.chunk : `${unit.chunk}#${String(unit.slice)}`;
  const startedAt = performance.now();
  try {
    const loaded = await batch.one(workOf(batch, turn));
    if (input.batch.units === 1) await turn.ledger.deadLetters.clear(input.ref, unit.ordinal);
    dependencies.metrics.rowsCopied(input.ref.job, loaded.rows);
    dependencies.metrics.bytesCopied(input.ref.job, loaded.bytes);
    dependencies.metrics.unitLoaded(input.ref.job, (performance.now() - startedAt) / 1_000);
    return { loaded };
  } catch (error) {
    if (turn.signal.aborted || !(error instanceof SynclineError)) throw error;
    dependencies.metrics.unitFailed(input.ref.job, error.code);
    // Alone, Temporal shows and retries it; in company, only what is wrong with this chunk is set apart.
    if (input.batch.units === 1 || error.retry === 'automatic') throw error;
    const failure = { ordinal: unit.ordinal, chunk: unit.chunk, code: error.code, message: error.message };
    return { failure, error };
  }
}

function workOf(batch: Batch, turn: Turn): UnitWork {
  const { dependencies, input } = batch;
  const { stores, fault } = dependencies;
  return {
    ref: input.ref,
    plan: planOf(turn.stored, turn.unit),
    unit: turn.unit,
    source: requireCapability(sourceOf(stores, input.ref), 'chunkSource'),
    target: requireCapability(targetOf(stores, input.ref), 'chunkTarget'),
    verify: verifyOf(input, turn),
    ...(input.onlyChanged === true ? { onlyChanged: true } : {}),
    ...(turn.stored.snapshot === null ? {} : { snapshot: turn.stored.snapshot }),
    ...(turn.stored.followed ? { settle: settleOn(stores, input.ref, turn.signal) } : {}),
    attempt: Context.current().info.attempt,
    ...(input.throttleBytesPerSecond === undefined
      ? {}
      : { throttleBytesPerSecond: input.throttleBytesPerSecond }),
    signal: turn.signal,
    fault,
    progress: {
      step: (step) => {
        turn.progress.step = step;
      },
      bytes: (count) => {
        turn.progress.bytes += count;
        dependencies.memory?.passed(count);
      },
    },
  };
}

function settleOn(stores: StoreProvider, ref: LoadRef, signal: AbortSignal): NonNullable<UnitWork['settle']> {
  const log = requireCapability(sourceOf(stores, ref), 'logSource');
  return (mark) => log.settle(ref.job, mark, signal);
}

/** The digests of a backup are those of its own types: values that become another type are compared by count. */
function verifyOf({ ref, verify }: LoadUnitsInput, turn: Turn): LoadUnitsInput['verify'] {
  const retyped = planOf(turn.stored, turn.unit).retyped.length > 0;
  return ref.sourceArtifact !== undefined && retyped && verify === 'digest' ? 'count' : verify;
}

function planOf(stored: StoredLoad, unit: LoadUnit): TablePlan {
  const plan = stored.tables[unit.table - 1];
  if (plan === undefined)
    throw new SynclineError('internal.unexpected', `Unit of ${unit.chunk} names no table of its plan.`);
  return plan;
}

async function recall(stores: StoreProvider, ref: LoadRef): Promise<RecalledLoad> {
  const key = `${ref.targetStore}\n${ref.job}\n${ref.load}\n${ref.run}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const target = targetOf(stores, ref);
  const load = await requireCapability(target, 'loadLedger').plans.read(ref);
  if (load === null) throw new SynclineError('job.notFound', `Job ${ref.job} has no plan for this load.`);
  const writer = ref.targetArtifact === undefined ? undefined : target.capabilities.backupWriter;
  const [noted, log] = [await writer?.snapshot(ref), await writer?.log(ref)];
  const followed = isLinkLoad(ref.load) || (log !== undefined && log !== null);
  const stored = { ...load, snapshot: noted?.id ?? null, followed };
  const oldest = remembered.keys().next().value;
  if (remembered.size >= 32 && oldest !== undefined) remembered.delete(oldest);
  remembered.set(key, stored);
  return stored;
}
