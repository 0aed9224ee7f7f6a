import { z } from 'zod';
import { SynclineError } from '../../../definitions/errors.ts';
import type { BackupTable, BeginBackup } from '../../spi/artifact.ts';
import type { LoadUnit, TablePlan } from '../../spi/chunk-source.ts';
import { backupTableShape } from '../backup/kept-tables.ts';
import { consistencyShape, planShape, unitShape } from '../backup/shapes.ts';
import { beginKey, isBackupId, pageUnits, planKey } from '../objects/layout.ts';
import type { Place } from '../objects/place.ts';
import {
  type Coding,
  compressionShape,
  countShape,
  readLines,
  refOf,
  storedRefShape,
} from '../objects/sealed.ts';

/** What `begin` was told; its tables are an object of their own. */
export const begunShape = z.strictObject({
  job: z.string(),
  sourceStore: z.string(),
  scope: z.enum(['full', 'window']),
  scheduledTime: z.string(),
  compression: compressionShape,
  compressionLevel: countShape.nullable(),
  encrypt: z.boolean(),
  consistency: consistencyShape,
  basedOn: z.string().refine(isBackupId).nullable(),
  tables: storedRefShape,
});

export type Begun = z.output<typeof begunShape>;

export function codingOf({
  compression,
  compressionLevel,
  encrypt,
}: Pick<BeginBackup, 'compression' | 'compressionLevel' | 'encrypt'>): Coding {
  return { compression, level: compressionLevel, encrypt };
}

/** The head of a plan, written after its pages: only then there is a plan. */
export const planHeadShape = z.strictObject({
  token: z.string(),
  ref: z.strictObject({
    job: z.string(),
    load: z.string(),
    run: z.string(),
    sourceStore: z.string(),
    targetStore: z.string(),
    sourceArtifact: z.strictObject({ path: z.string(), backup: z.string() }).exactOptional(),
    targetArtifact: z.strictObject({ path: z.string(), backup: z.string() }).exactOptional(),
  }),
  totals: z.strictObject({ units: countShape, chunks: countShape, bytes: countShape, tables: countShape }),
  createdAt: z.iso.datetime(),
  tables: storedRefShape,
  pages: z.array(storedRefShape),
});

export type PlanHead = z.output<typeof planHeadShape>;

/** Pages of a plan held at once. */
const pagesHeld = 6;

/** A backup, or a transfer of one, before it is published. Its plan never changes once it is there. */
export class BackupUnderWay {
  readonly backup: string;
  private readonly place: Place;
  private head: PlanHead | null = null;
  private begun: Begun | null = null;
  private tables: readonly TablePlan[] | null = null;
  private readonly pages = new Map<number, Promise<readonly LoadUnit[]>>();

  constructor(place: Place, backup: string) {
    this.place = place;
    this.backup = backup;
  }

  async readHead(): Promise<PlanHead | null> {
    this.head ??= await this.place.readJson(planKey(this.backup), planHeadShape);
    return this.head;
  }

  /** Throws `job.notFound`. */
  async expectHead(): Promise<PlanHead> {
    const head = await this.readHead();
    if (head === null) throw new SynclineError('job.notFound', `Backup ${this.backup} has no plan.`);
    return head;
  }

  /**
   * As it is now, not as it is remembered: an attempt that wakes up late must not publish what another published and a
   * prune has let go since. Throws `target.superseded`.
   */
  async expectStillThere(): Promise<void> {
    const { token } = await this.expectHead();
    const head = await this.place.readJson(planKey(this.backup), planHeadShape);
    if (head?.token === token) return;
    throw new SynclineError(
      'target.superseded',
      `Backup ${this.backup} was published by another attempt, or given up, and is gone.`,
    );
  }

  /** Null for a transfer, which has none. Scripts may be newer than what was read first; nothing else changes. */
  async readBegun(): Promise<Begun | null> {
    this.begun ??= await this.place.readJson(beginKey(this.backup), begunShape);
    return this.begun;
  }

  async expectBegun(): Promise<Begun> {
    const begun = await this.readBegun();
    if (begun === null) throw new SynclineError('job.notFound', `Backup ${this.backup} was not begun.`);
    return begun;
  }

  async readBackupTables(): Promise<readonly BackupTable[]> {
    // Not what is remembered: `begin` may have been called again by another process.
    const begun = await this.place.readJson(beginKey(this.backup), begunShape);
    if (begun === null) throw new SynclineError('job.notFound', `Backup ${this.backup} was not begun.`);
    return await readLines(this.place, begun.tables, backupTableShape);
  }

  async readTables(): Promise<readonly TablePlan[]> {
    this.tables ??= await readLines(this.place, refOf((await this.expectHead()).tables), planShape);
    return this.tables;
  }

  async *units(from: number, to: number): AsyncGenerator<LoadUnit> {
    const { totals } = await this.expectHead();
    const last = Math.min(to, totals.units);
    for (let ordinal = Math.max(1, from); ordinal <= last;) {
      const number = Math.floor((ordinal - 1) / pageUnits);
      const page = await this.page(number);
      const start = (ordinal - 1) % pageUnits;
      const count = Math.min(page.length - start, last - ordinal + 1);
      yield* page.slice(start, start + count);
      ordinal += count;
    }
  }

  private page(number: number): Promise<readonly LoadUnit[]> {
    const known = this.pages.get(number);
    if (known !== undefined) return known;
    const oldest = this.pages.keys().next().value;
    if (this.pages.size >= pagesHeld && oldest !== undefined) this.pages.delete(oldest);
    const reading = this.readPage(number);
    this.pages.set(number, reading);
    reading.catch(() => this.pages.delete(number));
    return reading;
  }

  private async readPage(number: number): Promise<readonly LoadUnit[]> {
    const { pages, totals } = await this.expectHead();
    const ref = pages[number];
    const wanted = Math.min(pageUnits, totals.units - number * pageUnits);
    const units = ref === undefined ? [] : await readLines(this.place, refOf(ref), unitShape);
    if (units.length === wanted && units.every((unit, at) => unit.ordinal === number * pageUnits + at + 1))
      return units;
    throw new SynclineError('artifact.corrupt', `The plan of backup ${this.backup} is not whole.`);
  }
}
