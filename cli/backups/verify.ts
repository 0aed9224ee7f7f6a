import { finished } from 'node:stream/promises';
import { SynclineError } from '../../definitions/errors.ts';
import type { BackupSummary, StoredObject } from '../../stores/spi/artifact.ts';
import type { LoadUnit, TablePlan } from '../../stores/spi/chunk-source.ts';
import { requireCapability, type Store } from '../../stores/spi/store.ts';
import { displayName, type LeafDefinition } from '../../stores/spi/tables.ts';
import type { Backups } from './place.ts';

/** What is wrong with one object. `object` is null where the error names it. */
export interface BadObject {
  readonly object: string | null;
  readonly chunk: string | null;
  readonly code: string;
  readonly message: string;
}

export interface VerifiedBackup {
  readonly backup: string;
  /** Objects that were looked at, and their bytes. */
  readonly objects: number;
  readonly bytes: number;
  /** Rows that came out of them; null when they were only hashed. */
  readonly rows: number | null;
  readonly bad: readonly BadObject[];
}

/** Objects listed, and read, at once. */
const page = 1_000;
const concurrency = 4;

/** Verifies backups of one place, each object once however many of them refer to it. */
export class Verification {
  private readonly backups: Backups;
  private readonly hashOnly: boolean;
  private readonly whole = new Set<string>();

  constructor(backups: Backups, { hashOnly }: { readonly hashOnly: boolean }) {
    this.backups = backups;
    this.hashOnly = hashOnly;
  }

  /** Throws only what speaks of the store, not of the backup: `store.*`. */
  async verify(backup: string): Promise<VerifiedBackup> {
    const seen = { objects: 0, bytes: 0, rows: 0 };
    const bad: BadObject[] = [];
    try {
      const summary = await this.backups.catalog.read(backup);
      await this.hashAll(backup, seen, bad);
      // Of an object that is not what was written, its rows say nothing more.
      if (bad.length === 0 && !this.hashOnly) await this.decodeAll(summary, seen, bad);
    } catch (error) {
      bad.push(badness(error, { object: null, chunk: null }));
    }
    const decoded = bad.length === 0 && !this.hashOnly;
    return { backup, objects: seen.objects, bytes: seen.bytes, rows: decoded ? seen.rows : null, bad };
  }

  private async hashAll(
    backup: string,
    seen: { objects: number; bytes: number },
    bad: BadObject[],
  ): Promise<void> {
    for (let after = 0; ;) {
      const objects = await this.backups.catalog.objects(backup, after, page);
      const last = objects.at(-1);
      if (last === undefined) return;
      for (let at = 0; at < objects.length; at += concurrency) {
        const some = objects.slice(at, at + concurrency);
        const found = await Promise.all(some.map((object) => this.problemOf(object)));
        bad.push(...found.filter((problem) => problem !== null));
      }
      seen.objects += objects.length;
      seen.bytes += objects.reduce((sum, { bytes }) => sum + bytes, 0);
      after = last.ordinal;
    }
  }

  private async problemOf(object: StoredObject): Promise<BadObject | null> {
    const { key, bytes, sha256, chunk } = object;
    const known = `${key} ${sha256}`;
    if (this.whole.has(known)) return null;
    const name = `${this.backups.prefix}${key}`;
    const bad = (code: string, message: string): BadObject => ({ object: name, chunk, code, message });
    const stat = await this.backups.files.stat(name, { sha256: true });
    if (stat === null) return bad('files.missing', 'it is not there');
    if (stat.bytes !== bytes)
      return bad('artifact.corrupt', `it has ${String(stat.bytes)} bytes instead of ${String(bytes)}`);
    if (stat.sha256 !== sha256) return bad('artifact.corrupt', 'it has other bytes than were written');
    this.whole.add(known);
    return null;
  }

  /** Decrypts, decompresses and counts every chunk, as a restore would read it. */
  private async decodeAll(
    { backup, job }: BackupSummary,
    seen: { rows: number },
    bad: BadObject[],
  ): Promise<void> {
    const store = this.backups.open(backup);
    const source = requireCapability(store, 'chunkSource');
    const plans = await this.backups.catalog.plans(backup);
    const names = plans.map((plan) => plan.source);
    const tables = await requireCapability(store, 'tableReader').find(names);
    const whole = { chunks: '%', chunkBytes: Number.MAX_SAFE_INTEGER, window: null, where: null };
    for (const [index, plan] of plans.entries()) {
      const table = tables[index];
      if (table === null || table === undefined) continue;
      for await (const { leaf, bytes } of source.cut(table, { ...whole, bounds: false })) {
        const unit = unitOf(plan, leaf, bytes);
        try {
          seen.rows += await countRows(store, { plan, unit, job });
        } catch (error) {
          bad.push(badness(error, { object: null, chunk: unit.chunk }));
        }
      }
    }
  }
}

interface Counting {
  readonly plan: TablePlan;
  readonly unit: LoadUnit;
  readonly job: string;
}

async function countRows(store: Store, counting: Counting): Promise<number> {
  const { signal } = new AbortController();
  const request = { ...counting, verify: 'none', framed: false, signal } as const;
  const reading = await requireCapability(store, 'chunkSource').open(request);
  try {
    const { bytes } = reading.rows();
    await finished(bytes.resume());
    return (await reading.copied()).rows;
  } finally {
    await reading.close();
  }
}

function unitOf(plan: TablePlan, { name }: LeafDefinition, bytes: number): LoadUnit {
  const place = { ordinal: 1, firstOfChunk: 1, slice: 0, table: plan.ordinal };
  return {
    ...place,
    kind: 'whole',
    chunk: displayName(name),
    sourceLeaf: name,
    targetLeaf: name,
    range: null,
    bound: null,
    bytes,
  };
}

/** What is wrong with a backup is a finding; a store that does not answer is an error of the command. */
function badness(error: unknown, where: Pick<BadObject, 'object' | 'chunk'>): BadObject {
  if (!(error instanceof SynclineError) || !/^(artifact|files)\./.test(error.code)) throw error;
  return { ...where, code: error.code, message: error.message };
}
