import { z } from 'zod';
import type { LoadRef } from '../../definitions/contracts/copy.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { Store } from '../spi/store.ts';
import { PublishedBackup } from './backup/published-backup.ts';
import { BackupUnderWay } from './load/backup-under-way.ts';
import { backupsPrefix, expectBackupId, manifestKey, overKey, ownerKey, partsOf } from './objects/layout.ts';
import { Place } from './objects/place.ts';

export interface Address {
  /** Without `/` at either end. */
  readonly path: string;
  /** One backup, or null for all that are there. */
  readonly backup: string | null;
}

/** A worker is busy with one backup at a time, and the one that it is based on. */
const backupsHeld = 4;

const ownerShape = z.strictObject({ format: z.literal(1), job: z.string() });

/** The backups at one path, and what is remembered of them while the store is open. */
export class Artifact {
  readonly store: Store;
  readonly place: Place;
  readonly address: Address;
  private readonly publishedBackups = new Map<string, Promise<PublishedBackup>>();
  private readonly loads = new Map<string, BackupUnderWay>();
  private readonly over = new Set<string>();

  constructor(store: Store, address: Address) {
    this.store = store;
    this.address = address;
    this.place = new Place(store, address.path);
  }

  /** The one that was asked for. Throws `artifact.missing` when it was opened without one. */
  backup(): string {
    if (this.address.backup !== null) return this.address.backup;
    throw new SynclineError(
      'artifact.missing',
      `Which backup at ${this.address.path} of store ${this.place.store} is meant was not said.`,
    );
  }

  /** The backup that a load writes. */
  backupOf(ref: LoadRef): string {
    const backup = ref.targetArtifact?.backup ?? this.backup();
    expectBackupId(backup);
    return backup;
  }

  underWay(backup: string): BackupUnderWay {
    expectBackupId(backup);
    const known = this.loads.get(backup) ?? new BackupUnderWay(this.place, backup);
    hold(this.loads, backup, known);
    return known;
  }

  /** Throws as `readManifest`. */
  published(backup: string): Promise<PublishedBackup> {
    expectBackupId(backup);
    const known = this.publishedBackups.get(backup) ?? PublishedBackup.open(this.place, backup);
    known.catch(() => this.publishedBackups.delete(backup));
    hold(this.publishedBackups, backup, known);
    return known;
  }

  async isPublished(backup: string): Promise<boolean> {
    return (await this.place.stat(manifestKey(backup))) !== null;
  }

  /** Whether its load is over and published here, and what was big about it is gone. */
  async isOver(backup: string): Promise<boolean> {
    if (!this.over.has(backup) && (await this.place.stat(overKey(backup))) !== null) this.over.add(backup);
    return this.over.has(backup);
  }

  /** Ids of all, oldest first. */
  async publishedIds(): Promise<string[]> {
    const ids: string[] = [];
    for await (const { key } of this.place.list(backupsPrefix)) {
      const parts = partsOf(key);
      if (parts?.rest === 'manifest.json') ids.push(parts.backup);
    }
    return ids;
  }

  forgetRemembered(backup: string): void {
    this.loads.delete(backup);
    this.publishedBackups.delete(backup);
    this.over.delete(backup);
  }

  async owner(): Promise<string | null> {
    return (await this.place.readJson(ownerKey, ownerShape))?.job ?? null;
  }

  /** One path, one job: two would prune each other's objects. Throws `artifact.foreign`. */
  async claim(job: string): Promise<void> {
    const owner = await this.owner();
    if (owner === job) return;
    if (owner === null) {
      await this.place.writeJson(ownerKey, { format: 1, job });
      return;
    }
    throw new SynclineError(
      'artifact.foreign',
      `Path ${this.place.path} of store ${this.place.store} holds the backups of job ${owner}.`,
      { details: { store: this.place.store } },
    );
  }
}

/** The one used longest ago goes. */
function hold<T>(held: Map<string, T>, key: string, value: T): void {
  held.delete(key);
  held.set(key, value);
  const oldest = held.keys().next().value;
  if (held.size > backupsHeld && oldest !== undefined) held.delete(oldest);
}
