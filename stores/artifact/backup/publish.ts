import { SynclineError } from '../../../definitions/errors.ts';
import { inGroups } from '../../../planning/in-groups.ts';
import type { BackupSummary, NotedSnapshot } from '../../spi/artifact.ts';
import type { LoadUnit } from '../../spi/chunk-source.ts';
import { displayName } from '../../spi/tables.ts';
import type { Artifact } from '../artifact.ts';
import { type BackupUnderWay, codingOf } from '../load/backup-under-way.ts';
import { readDeadLetters } from '../load/dead-letters.ts';
import { readReceipt, type ReceiptContent } from '../load/receipts.ts';
import { keyIdOf } from '../codec/keys.ts';
import { backupFolder, manifestKey, newToken, numbered, snapshotKey } from '../objects/layout.ts';
import { mapEach } from '../objects/place.ts';
import { writeLines } from '../objects/sealed.ts';
import { type Entry, objectsOf } from './entry.ts';
import { expectCut, type UnitsAtCut } from './cut.ts';
import { endLoad } from './end-load.ts';
import type { PublishedTable } from './kept-tables.ts';
import { formatOf, type Manifest, type PageRef, sealManifest, summaryOf } from './manifest.ts';
import { notedSnapshotShape } from './noted-snapshot.ts';
import { type Done, SeenObjects, unitsDone } from './units-done.ts';

/** Lines of one page: few requests for many chunks, and little to read for one. */
const pageEntries = 2_000;
/** Names of skipped units in the manifest. */
const maxNamed = 1_000;

/**
 * Makes a manifest of the receipts of a load, which must be exactly its plan less what was set aside. Pages and schema
 * get names of their own each time, so that an attempt that was given up for dead cannot change what another published.
 */
export async function publishLoad(artifact: Artifact, backup: string): Promise<BackupSummary> {
  const { place } = artifact;
  const underWay = artifact.underWay(backup);
  const [head, begun] = [await underWay.expectHead(), await underWay.expectBegun()];
  const coding = codingOf(begun);
  const key = coding.encrypt ? place.key() : null;
  const token = newToken();
  const sums = new Sums(backup);
  const pages: PageRef[] = [];
  const seen = await SeenObjects.of(place);
  const instants = begun.consistency === 'cut' ? await expectCut(artifact, backup) : null;
  for await (const group of inGroups(entriesOf(artifact, underWay, { seen, sums, instants }), pageEntries)) {
    const page = `${backupFolder(backup)}chunks-${numbered(pages.length + 1)}-${token}`;
    pages.push({ ...(await writeLines(place, page, { values: group, coding })), entries: group.length });
  }
  const tables = await publishedTables(underWay, sums);
  const schema = await writeLines(place, `${backupFolder(backup)}schema-${token}`, {
    values: tables,
    coding,
  });
  const manifest = sealManifest(
    {
      format: formatOf(begun.consistency),
      job: begun.job,
      backup,
      load: head.ref.load,
      run: head.ref.run,
      scope: begun.scope,
      createdAt: new Date().toISOString(),
      scheduledTime: begun.scheduledTime,
      consistency: begun.consistency,
      snapshot: instants?.mark ?? (await readSnapshot(artifact, backup))?.mark ?? null,
      source: {
        store: begun.sourceStore,
        dialects: [...new Set(tables.map((table) => table.definition.dialect))],
      },
      compression: begun.compression,
      keyId: key === null ? null : keyIdOf(key),
      basedOn: begun.basedOn,
      tables: tables.map(({ definition, plan }) => ({
        name: displayName(definition.name),
        window: plan.window,
      })),
      ...sums.totals(),
      ...(sums.changedUnits === 0 ? {} : { changedUnits: sums.changedUnits }),
      skipped: { units: sums.skipped, named: await namedSkips(artifact, backup, sums) },
      pages,
      schema,
    },
    key,
  );
  return await writeManifest(artifact, manifest, seen);
}

/** What nobody names goes first: there is then one object a unit, and nothing to do after the manifest is there. */
async function writeManifest(
  artifact: Artifact,
  manifest: Manifest,
  seen: SeenObjects,
): Promise<BackupSummary> {
  const { place } = artifact;
  const { backup } = manifest;
  if (await artifact.isPublished(backup)) {
    // By an attempt that was given up for dead: what it published stands.
    await place.remove([...manifest.pages.map((page) => page.key), manifest.schema.key]);
  } else {
    await artifact.underWay(backup).expectStillThere();
    await place.remove(seen.unnamed(backup));
    await place.writeJson(manifestKey(backup), manifest);
  }
  await endLoad(artifact, backup);
  artifact.forgetRemembered(backup);
  return summaryOf((await artifact.published(backup)).manifest);
}

interface Gathering {
  readonly seen: SeenObjects;
  readonly sums: Sums;
  readonly instants: UnitsAtCut | null;
}

async function* entriesOf(
  artifact: Artifact,
  underWay: BackupUnderWay,
  { seen, sums, instants }: Gathering,
): AsyncGenerator<Entry> {
  const { token } = await underWay.expectHead();
  for await (const group of inGroups(unitsDone(artifact, underWay, seen), 1_000)) {
    const contents = await mapEach(group, ({ receipt }) =>
      receipt === null ? Promise.resolve(null) : readReceipt(artifact.place, receipt),
    );
    for (const [index, done] of group.entries()) {
      const content = contents[index] ?? null;
      if (content === null) sums.skip();
      else {
        const atCut = instants?.held.get(done.unit.ordinal);
        const entry = entryOf(done, {
          content: atCut === undefined ? content : { ...content, held: atCut },
          token,
        });
        await expectObject(artifact, done, { entry, seen });
        sums.add(entry, done.unit);
        yield entry;
      }
    }
  }
}

interface SeenEntry {
  readonly entry: Entry;
  readonly seen: SeenObjects;
}

/** A receipt without its object goes, so that a retry writes the unit anew. */
async function expectObject(
  { place }: Artifact,
  { receipt }: Done,
  { entry, seen }: SeenEntry,
): Promise<void> {
  const { object } = entry.held;
  if (!seen.has(object) && receipt !== null && (await place.stat(object.key))?.bytes !== object.storedBytes)
    await place.remove([receipt.key]);
  for (const one of objectsOf(entry)) seen.expect(place, one);
}

interface HeldUnit {
  readonly content: ReceiptContent;
  readonly token: string;
}

function entryOf({ unit, slices }: Done, { content, token }: HeldUnit): Entry {
  const { held, plan } = content;
  if (held === null || plan !== token || unit.kind === 'finish') {
    throw new SynclineError(
      'verify.totalsDiffer',
      `The receipt of ${unit.chunk} belongs to another plan than the one of this backup.`,
      { details: { chunk: unit.chunk } },
    );
  }
  const { ordinal, firstOfChunk, kind, chunk, slice, table, sourceLeaf, range, bound } = unit;
  return { ordinal, firstOfChunk, kind, chunk, slice, slices, table, leaf: sourceLeaf, range, bound, held };
}

/** What the entries add up to, and how they share out among the tables. */
class Sums {
  skipped = 0;
  changedUnits = 0;
  readonly perTable = new Map<number, number>();
  private readonly backup: string;
  private readonly sums = { units: 0, chunks: 0, rows: 0, bytes: 0, storedBytes: 0 };
  private readonly referred = { referredUnits: 0, referredBytes: 0 };
  private lastChunk = 0;

  constructor(backup: string) {
    this.backup = backup;
  }

  add({ held }: Entry, unit: LoadUnit): void {
    const { sums, referred } = this;
    sums.units += 1;
    if (unit.firstOfChunk !== this.lastChunk) sums.chunks += 1;
    this.lastChunk = unit.firstOfChunk;
    sums.rows += held.rows;
    sums.bytes += held.bytes;
    const { changes } = held;
    if (changes !== undefined) {
      this.changedUnits += 1;
      sums.storedBytes += changes.keys.storedBytes + changes.rows.storedBytes;
    }
    if (held.from === this.backup) sums.storedBytes += held.object.storedBytes;
    else {
      referred.referredUnits += 1;
      referred.referredBytes += held.object.storedBytes;
    }
    this.perTable.set(unit.table, (this.perTable.get(unit.table) ?? 0) + 1);
  }

  skip(): void {
    this.skipped += 1;
  }

  totals(): Sums['sums'] & Sums['referred'] {
    return { ...this.sums, ...this.referred };
  }
}

/** Definitions as they were when the plan was made, scripts as they were brought last. */
async function publishedTables(underWay: BackupUnderWay, sums: Sums): Promise<PublishedTable[]> {
  const plans = await underWay.readTables();
  const kept = new Map(
    (await underWay.readBackupTables()).map((table) => [displayName(table.definition.name), table]),
  );
  let firstEntry = 0;
  return plans.map((plan): PublishedTable => {
    const table = kept.get(displayName(plan.source));
    if (table === undefined) {
      throw new SynclineError(
        'internal.unexpected',
        `Table ${displayName(plan.source)} was planned and never described.`,
      );
    }
    const entries = sums.perTable.get(plan.ordinal) ?? 0;
    const first = firstEntry;
    firstEntry += entries;
    return { ...table, plan, firstEntry: first, entries };
  });
}

async function namedSkips(
  artifact: Artifact,
  backup: string,
  { skipped }: Sums,
): Promise<Manifest['skipped']['named']> {
  if (skipped === 0) return [];
  const letters = await readDeadLetters(artifact, backup, { after: 0, limit: maxNamed });
  return letters.map(({ chunk, slice, code }) => ({ chunk, slice, code }));
}

export async function readSnapshot({ place }: Artifact, backup: string): Promise<NotedSnapshot | null> {
  return await place.readJson(snapshotKey(backup), notedSnapshotShape);
}
