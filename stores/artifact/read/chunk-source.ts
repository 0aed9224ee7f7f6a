import { SynclineError } from '../../../definitions/errors.ts';
import { likeMatcher } from '../../../planning/like-pattern.ts';
import type {
  AnnouncedSlice,
  ChunkCut,
  ChunkSource,
  CutOptions,
  LoadUnit,
  OpenReading,
  TablePlan,
  UnitReading,
} from '../../spi/chunk-source.ts';
import { displayName, type TableDefinition } from '../../spi/tables.ts';
import type { Artifact } from '../artifact.ts';
import type { Entry } from '../backup/entry.ts';
import type { PublishedTable } from '../backup/kept-tables.ts';
import type { PublishedBackup } from '../backup/published-backup.ts';
import { BackupReading, type HeldEntries } from './backup-reading.ts';

/** Reads the units of a published backup. */
export function createChunkSource(artifact: Artifact): ChunkSource {
  return {
    cut: (table, options) => cut(artifact, table, options),
    open: (request) => open(artifact, request),
    endSessions: () => Promise.resolve(0),
    announcedSlices: (_plan, unit) => announcedSlices(artifact, unit),
  };
}

/** As the backup was cut. Only when no slices are wanted at all, those of a chunk are read as one. */
async function* cut(
  artifact: Artifact,
  table: TableDefinition,
  { chunks, chunkBytes }: CutOptions,
): AsyncGenerator<ChunkCut> {
  const published = await artifact.published(artifact.backup());
  const kept = await findTable(published, table.name);
  if (kept === null) return;
  const matches = likeMatcher(chunks);
  const leaves = new Map(kept.definition.leaves.map((leaf) => [displayName(leaf.name), leaf]));
  for await (const entries of chunksOf(published, kept)) {
    const [first] = entries;
    // A chunk that lacks a slice, which was set aside, would be restored by half.
    if (first === undefined || entries.length !== Math.max(1, first.slices)) continue;
    if (!matches(first.leaf.name)) continue;
    const bytes = entries.reduce((sum, entry) => sum + entry.held.bytes, 0);
    const rows = entries.reduce((sum, entry) => sum + entry.held.rows, 0);
    const leaf = leaves.get(displayName(first.leaf)) ?? { name: first.leaf, bounds: [], bytes, rows };
    const isWhole = chunkBytes === Number.MAX_SAFE_INTEGER;
    yield { leaf, ranges: isWhole ? [null] : entries.map((entry) => entry.range), bound: first.bound, bytes };
  }
}

export async function findTable(
  published: PublishedBackup,
  name: TableDefinition['name'],
): Promise<PublishedTable | null> {
  const wanted = displayName(name);
  const tables = await published.tables();
  return tables.find((table) => displayName(table.definition.name) === wanted) ?? null;
}

async function* chunksOf(published: PublishedBackup, table: PublishedTable): AsyncGenerator<Entry[]> {
  let chunk: Entry[] = [];
  for await (const entry of published.entries(table.firstEntry, table.entries)) {
    if (chunk.length > 0 && chunk[0]?.chunk !== entry.chunk) {
      yield chunk;
      chunk = [];
    }
    chunk.push(entry);
  }
  if (chunk.length > 0) yield chunk;
}

async function open(artifact: Artifact, request: OpenReading): Promise<UnitReading> {
  const published = await artifact.published(artifact.backup());
  const { plan, unit } = request;
  await expectKeptForm(published, plan);
  return new BackupReading(artifact.place, await entriesOf(published, unit), request);
}

/** Rows lie there as they were read: no column can be left out, and no form changed. */
async function expectKeptForm(published: PublishedBackup, plan: TablePlan): Promise<void> {
  const kept = (await findTable(published, plan.source))?.plan;
  const isSame =
    kept !== undefined &&
    kept.format === plan.format &&
    JSON.stringify(kept.columns) === JSON.stringify(plan.columns);
  if (isSame) return;
  throw new SynclineError(
    'source.columnMissing',
    `Backup ${published.manifest.backup} does not hold ${displayName(plan.source)} with these columns in this format.`,
    { details: { table: displayName(plan.source) } },
  );
}

async function entriesOf(published: PublishedBackup, unit: LoadUnit): Promise<HeldEntries> {
  const { sourceLeaf, slice } = unit;
  const one = slice === 0 ? null : await published.entryOf(sourceLeaf, slice);
  const entries = slice === 0 ? await published.entriesOfLeaf(sourceLeaf) : one === null ? [] : [one];
  const [first] = entries;
  const isSame = slice === 0 || rangeText(first?.range) === rangeText(unit.range);
  if (first !== undefined && isSame) return { first, entries };
  throw new SynclineError(
    'source.chunkChanged',
    `Backup ${published.manifest.backup} does not hold chunk ${unit.chunk} as it was planned.`,
    { details: { chunk: unit.chunk } },
  );
}

/** The ledger that kept the plan may hand out the fields in another order. */
function rangeText(range: LoadUnit['range'] | undefined): string {
  return range === null || range === undefined ? '' : JSON.stringify([range.columns, range.from, range.to]);
}

async function announcedSlices(
  artifact: Artifact,
  unit: LoadUnit,
): Promise<readonly AnnouncedSlice[] | null> {
  const published = await artifact.published(artifact.backup());
  const entries = await published.entriesOfLeaf(unit.sourceLeaf);
  if (entries.length < 2 || unit.slice === 0) return null;
  return entries.map(({ slice, held }) => ({
    slice,
    rows: held.rows,
    digest: held.digest,
    mark: held.mark,
  }));
}
