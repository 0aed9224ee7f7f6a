import type { VerifyMode } from '../../definitions/contracts/job.ts';
import type { Contents, KeyRange, LoadUnit, TablePlan } from './chunk-source.ts';
import type { LogChange } from './log.ts';
import type { RowStream, SnapshotMark } from './rows.ts';
import type { TableName } from './tables.ts';

/**
 * Brings rows that were read at different instants to one: a log says which of them were touched since, and only those
 * are read again, at that instant. Which changes came before a unit was read and which after it does not matter: a row that
 * was touched for nothing is read again as it is.
 */

/** Capability: which rows a log has touched, and what they are at an instant (source of a backup at a cut). */
export interface TouchedRows {
  /** `keyOf`: key columns of a leaf that is wanted, null for one that is not. `mostBytes` bounds what is remembered. */
  collect(options: CollectTouched): TouchedCollector;
  /**
   * Which of these leaves (`displayName`) changed otherwise than by rows since a mark: emptied, rewritten, replaced, altered. To
   * be asked after the instant's snapshot was taken. In doubt, it has.
   */
  altered(request: AskAltered): Promise<ReadonlySet<string>>;
  /**
   * The rows of a unit that have one of these keys, at an instant that another session holds, and number and digest of all of
   * its rows there. Throws as `ChunkSource.open` does under a snapshot.
   */
  open(request: OpenTouched): Promise<TouchedReading>;
}

export interface CollectTouched {
  readonly keyOf: (leaf: TableName) => readonly string[] | null;
  readonly mostBytes: number;
}

export interface AskAltered {
  readonly job: string;
  readonly leaves: readonly TableName[];
  readonly since: SnapshotMark;
}

export interface TouchedCollector {
  /** Throws `source.noKey` when a row cannot be told from others. */
  add(changes: readonly LogChange[]): void;
  /** By `displayName` of the leaf. */
  readonly leaves: ReadonlyMap<string, TouchedLeaf>;
}

export interface TouchedLeaf {
  /** Which of the ranges (ordered, without gap) they fall into; a key that nobody can place is in all of them. */
  keysIn(ranges: readonly (KeyRange | null)[]): readonly TouchedKeys[];
  /** All of it must be read again: it was emptied, or has more of them than can be remembered. */
  readonly isWhole: boolean;
}

export interface TouchedKeys {
  readonly columns: readonly string[];
  /** Source's own numbers of their types. */
  readonly typeIds: readonly number[];
  /**
   * One a row: for each column an int32 length and the bytes of the type's binary form, as in a row of binary COPY; as
   * `latin1`, so that equal bytes are equal texts.
   */
  readonly keys: readonly string[];
}

export interface OpenTouched {
  readonly plan: TablePlan;
  readonly unit: LoadUnit;
  readonly keys: TouchedKeys;
  readonly verify: VerifyMode;
  readonly job: string;
  /** Exported. Throws `source.snapshotLost`. */
  readonly snapshot: string;
  readonly signal: AbortSignal;
}

/** Use: rows, then read, contents, close; close alone gives up. */
export interface TouchedReading {
  /** Binary, not framed. Call once. */
  rows(): RowStream;
  /** How many rows came, after the stream ended. */
  read(): Promise<number>;
  /** Of all rows of the unit; the digest only with `verify: digest`. */
  contents(): Promise<Pick<Contents, 'rows'> & { readonly digest: Contents['digest'] | null }>;
  /** Idempotent, never throws. */
  close(): Promise<void>;
}
