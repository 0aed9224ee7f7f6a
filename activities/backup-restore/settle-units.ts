import { SynclineError } from '../../definitions/errors.ts';
import type { CutBackup, CutBackupInput } from '../../definitions/contracts/backup-restore.ts';
import { inGroups } from '../../planning/in-groups.ts';
import type { CutWriting } from '../../stores/spi/artifact.ts';
import type { ChunkSource, LoadUnit, TablePlan } from '../../stores/spi/chunk-source.ts';
import type { LoadLedger, StoredLoad } from '../../stores/spi/load-ledger.ts';
import type { LogCut } from '../../stores/spi/log.ts';
import type { SnapshotMark } from '../../stores/spi/rows.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type {
  TouchedCollector,
  TouchedKeys,
  TouchedLeaf,
  TouchedRows,
} from '../../stores/spi/touched-rows.ts';
import type { DescribedTable } from '../copy/describe-job.ts';
import { cutsOf } from '../copy/units.ts';

/** Units, and chunks, looked at together. */
const page = 1_000;

/** A backup that is being brought to one instant. */
export interface CutWork {
  readonly input: CutBackupInput;
  readonly writing: CutWriting;
  readonly signal: AbortSignal;
  /** Before the first unit was read. */
  readonly since: SnapshotMark;
  readonly source: ChunkSource;
  readonly rows: TouchedRows;
  readonly ledger: LoadLedger;
  readonly stored: StoredLoad;
  readonly tables: readonly DescribedTable[];
}

export interface Instant {
  readonly cut: LogCut;
  readonly touched: TouchedCollector;
}

type Done = { -readonly [Key in keyof CutBackup]: CutBackup[Key] };

/** What was touched since the first unit was read is read again at the instant. Counts units in `done`. */
export async function settleUnits(work: CutWork, instant: Instant, done: Done): Promise<void> {
  const missed = new Set(instant.touched.leaves.keys());
  for await (const chunks of inGroups(chunksOf(work), page)) {
    const altered = await work.rows.altered({
      job: work.input.job.name,
      leaves: chunks.map(([first]) => first.sourceLeaf),
      since: work.since,
    });
    for (const chunk of chunks) {
      const leaf = instant.touched.leaves.get(chunk[0].chunk);
      missed.delete(chunk[0].chunk);
      expectStillThere(work, chunk[0]);
      if (altered.has(chunk[0].chunk) || leaf?.isWhole === true) {
        for (const unit of chunk) await readAgain(work, instant.cut, unit);
        done.again += chunk.length;
      } else if (leaf !== undefined) done.changed += await patchChunk(work, instant.cut, { chunk, leaf });
    }
  }
  await expectNoneMissed(work, missed);
}

/** The units of one chunk. */
type Chunk = readonly [LoadUnit, ...LoadUnit[]];

async function* chunksOf({ ledger, stored, input }: CutWork): AsyncGenerator<Chunk> {
  let chunk: [LoadUnit, ...LoadUnit[]] | null = null;
  for (let from = 1; from <= stored.totals.units; from += page) {
    for (const unit of await ledger.plans.units(input.ref, from, from + page - 1)) {
      if (chunk !== null && chunk[0].firstOfChunk === unit.firstOfChunk) chunk.push(unit);
      else {
        if (chunk !== null) yield chunk;
        chunk = [unit];
      }
    }
  }
  if (chunk !== null) yield chunk;
}

/** Of a leaf that went no change of a row was written. */
function expectStillThere({ tables, stored }: CutWork, { chunk, table }: LoadUnit): void {
  const source = stored.tables[table - 1]?.source;
  const leaves = tables.find(
    ({ definition }) => source !== undefined && displayName(definition.name) === displayName(source),
  );
  if (leaves?.definition.leaves.some(({ name }) => displayName(name) === chunk) === true) return;
  throw changed(chunk, 'was dropped or detached');
}

/** A leaf with rows that no unit is about is one that came after the plan was made, unless the window leaves it out. */
async function expectNoneMissed({ tables, source }: CutWork, missed: ReadonlySet<string>): Promise<void> {
  if (missed.size === 0) return;
  for (const table of tables) {
    const whole = { ...table, decision: { ...table.decision, slices: false } };
    for await (const { leaf } of cutsOf(source, whole))
      if (missed.has(displayName(leaf.name))) throw changed(displayName(leaf.name), 'joined');
  }
}

function changed(chunk: string, what: string): SynclineError {
  return new SynclineError('source.chunkChanged', `${chunk} ${what} while the backup was made.`, {
    details: { chunk },
  });
}

async function readAgain(work: CutWork, { snapshot }: LogCut, unit: LoadUnit): Promise<void> {
  const { source, input, signal, writing } = work;
  const reading = await source.open({
    ...{ plan: planOf(work, unit), unit, verify: input.verify, framed: false },
    ...{ job: input.job.name, snapshot, signal },
  });
  try {
    await writing.replace(unit, {
      rows: reading.rows(),
      signal,
      async result() {
        const { rows } = await reading.copied();
        return { rows, digest: input.verify === 'digest' ? await reading.digest() : null };
      },
    });
  } finally {
    await reading.close();
  }
}

interface TouchedChunk {
  readonly chunk: Chunk;
  readonly leaf: TouchedLeaf;
}

/** Answers how many units have changes. */
async function patchChunk(work: CutWork, cut: LogCut, { chunk, leaf }: TouchedChunk): Promise<number> {
  const keys = leaf.keysIn(chunk.map((unit) => unit.range));
  let count = 0;
  for (const [index, unit] of chunk.entries()) {
    const own = keys[index];
    if (own === undefined || own.keys.length === 0) continue;
    await patchUnit(work, cut, { unit, keys: own });
    count += 1;
  }
  return count;
}

interface TouchedUnit {
  readonly unit: LoadUnit;
  readonly keys: TouchedKeys;
}

async function patchUnit(work: CutWork, { snapshot }: LogCut, { unit, keys }: TouchedUnit): Promise<void> {
  const { rows, input, signal, writing } = work;
  const plan = planOf(work, unit);
  expectCarried(plan, keys);
  const { verify, job } = input;
  const reading = await rows.open({ plan, unit, keys, verify, job: job.name, snapshot, signal });
  try {
    await writing.patch(unit, {
      ...{ keyColumns: keys.columns, keys: keys.keys, rows: reading.rows(), signal },
      result: async () => ({ patched: await reading.read(), ...(await reading.contents()) }),
    });
  } finally {
    await reading.close();
  }
}

/** What a restore tells rows by must be among their columns. */
function expectCarried({ columns, source }: TablePlan, keys: TouchedKeys): void {
  const missing = keys.columns.find((name) => !columns.includes(name));
  if (missing === undefined) return;
  throw new SynclineError(
    'log.notReady',
    `Column ${missing} tells rows of ${displayName(source)} apart, and is not backed up.`,
    { details: { table: displayName(source) } },
  );
}

function planOf({ stored }: CutWork, unit: LoadUnit): TablePlan {
  const plan = stored.tables[unit.table - 1];
  if (plan !== undefined) return plan;
  throw new SynclineError('internal.unexpected', `Unit of ${unit.chunk} names no table of its plan.`);
}
