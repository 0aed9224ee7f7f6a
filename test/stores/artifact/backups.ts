import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { loadUnit } from '../../../activities/copy/load-unit.ts';
import type { LoadRef } from '../../../definitions/contracts/copy.ts';
import type { Compression } from '../../../definitions/contracts/job.ts';
import { openArtifact } from '../../../stores/artifact/open-artifact.ts';
import type { BackupSummary, BeginBackup } from '../../../stores/spi/artifact.ts';
import type {
  ChunkSource,
  KeyRange,
  LoadUnit,
  TablePlan,
  UnitReading,
} from '../../../stores/spi/chunk-source.ts';
import type { ContentMark } from '../../../stores/spi/rows.ts';
import { EncryptionKeys } from '../../../stores/spi/settings.ts';
import { requireCapability, type Store } from '../../../stores/spi/store.ts';
import type { TableDefinition, TableScript } from '../../../stores/spi/tables.ts';

/** Rows of a made-up table: chunk name to slices, each with its rows; one slice = a whole chunk. */
export type Content = Readonly<Record<string, readonly (readonly string[])[]>>;

export const path = 'trades';
export const signal = new AbortController().signal;
export const job = 'trades-offsite';
const name = { schema: 'public', name: 'trades' };

export function newKeys(earlier: readonly Buffer[] = []): EncryptionKeys {
  return new EncryptionKeys(randomBytes(32), earlier);
}

export function backupId(number: number): string {
  return `20260101T${String(number).padStart(6, '0')}000Z-00000000`;
}

export function refOf(backup: string, more: Partial<LoadRef> = {}): LoadRef {
  const targetArtifact = { path, backup };
  const load = `backup:${backup}`;
  return { job, load, run: 'run', sourceStore: 'prod', targetStore: 'memory', targetArtifact, ...more };
}

export function definitionOf(content: Content): TableDefinition {
  const column = { notNull: true, generated: false, identity: null, binarySafe: true, comparesExactly: true };
  return {
    name,
    shape: 'partitioned',
    columns: [{ name: 'id', type: 'text', ...column }],
    key: ['id'],
    leaves: Object.keys(content).map((leaf) => ({
      name: { schema: 'public', name: leaf },
      bounds: [`FOR VALUES IN ('${leaf}')`],
      bytes: 1,
      rows: -1,
    })),
    dialect: 'postgres 18',
    hasSecondaryUnique: false,
    hanging: { referencedBy: [], views: [], publications: [], other: [] },
  };
}

export function scriptOf(more: Partial<TableScript> = {}): TableScript {
  const before = ['CREATE TABLE "public"."trades" ("id" text)'];
  return { dialect: 'postgres 18', table: name, before, shape: [], after: [], notCarried: [], ...more };
}

export const tablePlan: TablePlan = {
  ordinal: 1,
  source: name,
  target: name,
  columns: ['id'],
  key: ['id'],
  format: 'text',
  retyped: [],
  where: null,
  window: null,
  strategy: 'object',
};

export function unitsOf(content: Content): LoadUnit[] {
  const units: LoadUnit[] = [];
  for (const [leaf, slices] of Object.entries(content)) {
    const firstOfChunk = units.length + 1;
    for (const index of slices.keys()) {
      const isSlice = slices.length > 1;
      units.push({
        ordinal: units.length + 1,
        firstOfChunk,
        kind: isSlice ? 'slice' : 'whole',
        chunk: `public.${leaf}`,
        slice: isSlice ? index + 1 : 0,
        table: 1,
        sourceLeaf: { schema: 'public', name: leaf },
        targetLeaf: { schema: 'public', name: leaf },
        range: isSlice ? rangeOf(index, slices.length) : null,
        bound: null,
        bytes: 100,
      });
    }
  }
  return units;
}

function rangeOf(index: number, count: number): KeyRange {
  return {
    columns: ['id'],
    from: index === 0 ? null : [`secret-${String(index)}`],
    to: index === count - 1 ? null : [`secret-${String(index + 1)}`],
  };
}

export async function* inOrder<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* await Promise.resolve(items);
}

/** As a server sends rows: one CopyData message each. */
export function framed(rows: readonly string[]): Buffer {
  return Buffer.concat(
    rows.map((row) => {
      const payload = Buffer.from(`${row}\n`);
      const header = Buffer.alloc(5);
      header[0] = 0x64;
      header.writeUInt32BE(payload.length + 4, 1);
      return Buffer.concat([header, payload]);
    }),
  );
}

/** A source that holds the rows, and proves them unchanged by their hash. */
export function sourceOf(content: Content): ChunkSource {
  return {
    cut: () => inOrder([]),
    endSessions: () => Promise.resolve(0),
    open: ({ unit }) => Promise.resolve(readingOf(rowsOf(content, unit), unit)),
  };
}

export function rowsOf(content: Content, { sourceLeaf, slice }: LoadUnit): readonly string[] {
  return content[sourceLeaf.name]?.[Math.max(0, slice - 1)] ?? [];
}

function readingOf(rows: readonly string[], unit: LoadUnit): UnitReading {
  const mark = { snapshot: '1:1:', insertPosition: '0/1', systemId: '7', timeline: 1 };
  const digest = createHash('sha256').update(rows.join('\n')).digest('hex');
  const content: ContentMark = {
    relation: unit.chunk,
    columns: 'id',
    snapshot: digest,
    systemId: '7',
    timeline: 1,
  };
  const bytes = rows.reduce((sum, row) => sum + Buffer.byteLength(row) + 1, 0);
  return {
    mark,
    rows: () => ({
      format: 'text',
      framed: true,
      bytes: Readable.from(rows.length === 0 ? [] : [framed(rows)], { objectMode: false }),
    }),
    copied: () => Promise.resolve({ rows: rows.length, bytes }),
    digest: () => Promise.resolve(digest),
    content: () => Promise.resolve(content),
    unchangedSince: (earlier) => Promise.resolve(earlier.content.snapshot === digest),
    close: () => Promise.resolve(),
  };
}

export interface MadeBackup {
  readonly backup: string;
  readonly content: Content;
  readonly basedOn?: string | null;
  readonly encrypt?: boolean;
  readonly compression?: Compression;
  readonly verify?: 'none' | 'count' | 'digest';
  readonly plan?: TablePlan;
  /** Units that are set aside instead of loaded. */
  readonly setAside?: readonly number[];
  readonly attempt?: number;
}

export function beginOf(made: MadeBackup): BeginBackup {
  return {
    ref: refOf(made.backup),
    scope: 'full',
    scheduledTime: '2026-01-01T00:00:00.000Z',
    compression: made.compression ?? 'gzip',
    compressionLevel: null,
    encrypt: made.encrypt ?? false,
    consistency: 'chunk',
    basedOn: made.basedOn ?? null,
    tables: [{ definition: definitionOf(made.content), script: scriptOf() }],
  };
}

/** Begin and plan, as the activity that prepares does. */
export async function prepare(files: Store, made: MadeBackup): Promise<Store> {
  const artifact = openArtifact(files, { path, backup: made.backup });
  await requireCapability(artifact, 'backupWriter').begin(beginOf(made));
  const plans = requireCapability(artifact, 'loadLedger').plans;
  await plans.write(refOf(made.backup), [made.plan ?? tablePlan], inOrder(unitsOf(made.content)));
  return artifact;
}

export async function load(artifact: Store, made: MadeBackup, unit: LoadUnit): Promise<void> {
  await loadUnit({
    ref: refOf(made.backup),
    plan: made.plan ?? tablePlan,
    unit,
    source: sourceOf(made.content),
    target: requireCapability(artifact, 'chunkTarget'),
    verify: made.verify ?? 'digest',
    attempt: made.attempt ?? 1,
    signal,
    fault: { reach: () => Promise.resolve() },
    progress: { step: () => undefined, bytes: () => undefined },
  });
}

export async function loadAll(artifact: Store, made: MadeBackup): Promise<void> {
  const ref = refOf(made.backup);
  const ledger = requireCapability(artifact, 'loadLedger');
  for (const unit of unitsOf(made.content)) {
    if (made.setAside?.includes(unit.ordinal) !== true) await load(artifact, made, unit);
    else
      await ledger.deadLetters.put(ref, {
        ordinal: unit.ordinal,
        chunk: unit.chunk,
        code: 'store.statement',
        message: 'It fails.',
      });
  }
}

/** The whole life of a backup; called again after a crash it goes on. */
export async function backUp(files: Store, made: MadeBackup): Promise<BackupSummary> {
  const artifact = await prepare(files, made);
  await loadAll(artifact, made);
  return await requireCapability(artifact, 'backupWriter').publish(refOf(made.backup));
}

/** All rows that a restore would bring, by chunk; slices one after the other. */
export async function restore(files: Store, backup: string): Promise<Record<string, string[][]>> {
  const artifact = openArtifact(files, { path, backup });
  const source = requireCapability(artifact, 'chunkSource');
  const [table = null] = await requireCapability(artifact, 'tableReader').find([name]);
  if (table === null) throw new Error('no table');
  const found: Record<string, string[][]> = {};
  let ordinal = 0;
  const options = { chunks: '%', chunkBytes: 0, window: null, where: null };
  for await (const { leaf, ranges } of source.cut(table, options)) {
    const slices: string[][] = [];
    for (const [index, range] of ranges.entries()) {
      const slice = ranges.length > 1 ? index + 1 : 0;
      const [unit] = unitsOf({ [leaf.name.name]: [[]] });
      if (unit === undefined) throw new Error('no unit');
      slices.push(await read(source, { ...unit, ordinal: (ordinal += 1), slice, range }));
    }
    found[leaf.name.name] = slices;
  }
  return found;
}

export async function read(source: ChunkSource, unit: LoadUnit, plan = tablePlan): Promise<string[]> {
  const reading = await source.open({ plan, unit, verify: 'digest', framed: false, job, signal });
  try {
    const pieces: Buffer[] = [];
    for await (const piece of reading.rows().bytes as AsyncIterable<Buffer>) pieces.push(piece);
    const text = Buffer.concat(pieces).toString();
    const rows = text === '' ? [] : text.slice(0, -1).split('\n');
    const copied = await reading.copied();
    if (copied.rows !== rows.length) throw new Error('other rows than were announced');
    return rows;
  } finally {
    await reading.close();
  }
}

export function asRestored(content: Content): Record<string, string[][]> {
  return Object.fromEntries(
    Object.entries(content).map(([leaf, slices]) => [leaf, slices.map((rows) => [...rows])]),
  );
}
