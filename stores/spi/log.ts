import type { KeyRange } from './chunk-source.ts';
import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { SnapshotMark } from './rows.ts';
import type { TableName } from './tables.ts';

/**
 * The log of a source: every committed change after a position, in commit order, transaction by transaction.
 * Design 3.1 and 3.3. Nothing here is PostgreSQL's but the encoding of a row, which both ends know.
 */

/**
 * A place in the log of one source: 16 lower-case hex digits. Places of one source compare as text, and the difference of two
 * is bytes of log. `logStart` is before everything.
 */
export type LogPosition = string;
export const logStart: LogPosition = '0'.repeat(16);

/** Log between two places; 0 when `from` is not behind. */
export function bytesBetween(from: LogPosition, to: LogPosition): number {
  return to <= from ? 0 : Number(BigInt(`0x${to}`) - BigInt(`0x${from}`));
}

export interface LogColumn {
  readonly name: string;
  /** The source's own number of the type; tells only whether a column changed its type. */
  readonly typeId: number;
  readonly typeModifier: number;
  /** Part of the replica identity. */
  readonly isKey: boolean;
}

/** A leaf as the log describes it. The same object for every change while its shape stays the same. */
export interface LogRelation {
  readonly name: TableName;
  /** In the order of the columns of an image. Never generated ones. */
  readonly columns: readonly LogColumn[];
  /** `key`: old images hold the key only. `row`: the whole row (replica identity full). `none`: no old images. */
  readonly identity: 'key' | 'row' | 'none';
}

/** What is the same for all changes of one source transaction: one object for all of them. */
export interface LogTransaction {
  /** 32 bits of the top-level transaction's id: what visibility is decided by. */
  readonly xid: number;
  /**
   * Where its commit begins: unique per transaction and in commit order. Everything that was committed before is over at
   * this place, it itself is beyond it.
   */
  readonly position: LogPosition;
  /** Milliseconds since 1970, by the source's clock. */
  readonly committedAtMs: number;
}

/**
 * One row: int16 number of columns, then for each a kind byte — `n` null, `u` unchanged (a large value that the change
 * did not touch and the log does not hold), `t` text, `b` the type's binary form — and for `t` and `b` an int32 length
 * and the bytes. Network order. That is TupleData of
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html. Never changed in place; may share
 * memory with other images of its piece.
 */
export type RowImage = Buffer;

export interface RowChange {
  readonly kind: 'insert' | 'update' | 'delete';
  readonly relation: LogRelation;
  readonly transaction: LogTransaction;
  /**
   * The row before: always of a delete; of an update only when the key changed or the identity is `row`.
   * With identity `key` only the key columns of it are meant (others are `n`).
   */
  readonly old: RowImage | null;
  /** The row after; null of a delete. */
  readonly new: RowImage | null;
}

/** All rows of the leaf are gone; of several that were emptied together each is a change of its own. */
export interface TruncateChange {
  readonly kind: 'truncate';
  readonly relation: LogRelation;
  readonly transaction: LogTransaction;
  /** Only the rows with keys in these ranges: the others were read after it. Absent: all rows. */
  readonly ranges?: readonly KeyRange[];
}

export type LogChange = RowChange | TruncateChange;

/** Consecutive changes, read together: whole transactions, or a part of one that is too big to be held. */
export interface LogPiece {
  /** In order. Empty when only the position moved (nothing of ours was written meanwhile). */
  readonly changes: readonly LogChange[];
  /**
   * Everything committed up to here has been handed over, with this piece. Null: the piece ends inside of a transaction, whose
   * remaining changes follow at once.
   */
  readonly position: LogPosition | null;
  /** Transactions that end in this piece. */
  readonly transactions: number;
  /** As they came from the source. */
  readonly bytes: number;
}

/** How a link is found on the source. Both names are `syncline_<8 hex>`, derived from job and target store. */
export interface LinkAddress {
  readonly job: string;
  readonly slot: string;
  readonly publication: string;
}

/** What the log must carry, by leaf tables' roots. */
export interface PublishedTable {
  /** The table as selected; its leaves come with it, also those made later. */
  readonly table: TableName;
  /** Only inserts and truncates: of a table whose updates cannot be told apart (no key). */
  readonly insertsOnly: boolean;
}

/** Where a log begins, and of which server it is. */
export interface LogStart {
  /** Everything committed after it is in the log. */
  readonly position: LogPosition;
  readonly systemId: string;
  readonly timeline: number;
}

/** Who holds up a barrier: for people. Names of sessions and transactions, never statements. */
export interface Waiting {
  readonly what: 'transaction' | 'prepared';
  /** Application name, or the name of the prepared transaction. */
  readonly name: string;
  readonly database: string;
  readonly sinceMs: number;
}

export interface FollowLog {
  readonly address: LinkAddress;
  /** What the target's ledger says: nothing at or before it is handed over again. */
  readonly from: LogPosition;
  /** Bound on the changes of one piece, about; and on the bytes that are read ahead. */
  readonly pieceChanges: number;
  readonly pieceBytes: number;
  /** Rows as the types' binary form where they have one; false: as text. */
  readonly binary: boolean;
  readonly signal: AbortSignal;
}

/** How far the source's log has come, and what it keeps for the link. */
export interface RetainedLog {
  /** Where the source writes now. */
  readonly end: LogPosition;
  /** Bytes of log that the server keeps for this link. */
  readonly bytes: number;
  /**
   * `lost`: the slot is gone or invalid, changes are missing for ever (`reason` says why); only loading again helps.
   * `endangered`: the server will take it away soon.
   */
  readonly state: 'kept' | 'endangered' | 'lost';
  readonly reason: string | null;
}

/**
 * Capability: the log of a source. One link has one slot. All of it is idempotent, and ends by itself when its signal
 * aborts. Errors: `log.slotLost`, `log.slotBusy`, `store.*`.
 */
export interface LogSource {
  /** What server and tables lack before their log can be followed (`log.notReady`). Reads only. */
  readiness(request: LogReadiness): Promise<readonly PreflightFinding[]>;
  /** Which server answers now, and which of its histories it writes: of another one nothing that was loaded fits. */
  identity(job: string): Promise<{ readonly systemId: string; readonly timeline: number }>;
  /**
   * Publication first, then the slot, then the barrier (design 3.1, step 1): when it answers, every transaction that the log
   * may miss is over, so that a chunk whose load begins now has what the log lacks. Found again by name when repeated.
   * `waiting` is told, about once a second, whom the barrier waits for. Throws `log.barrierTimeout` past `deadlineMs`.
   */
  begin(request: BeginLog): Promise<LogStart>;
  /** Makes the publication carry exactly these tables, then the barrier. */
  publish(request: BeginLog): Promise<void>;
  /** Tables that the publication carries. Null: there is no publication. */
  published(address: LinkAddress): Promise<readonly PublishedTable[] | null>;
  /** Opens the log behind `from`. One reader at a time: an older one of this link is ended. */
  follow(request: FollowLog): Promise<LogReading>;
  /** Null: there is no such slot. */
  retained(address: LinkAddress): Promise<RetainedLog | null>;
  /** Drops slot and publication, ends sessions. A missing one is fine. */
  end(address: LinkAddress): Promise<void>;
  /** Slots and publications that are ours but of none of the links given. For preflight and `doctor`. */
  strays(known: readonly LinkAddress[]): Promise<readonly string[]>;
  /** When the log has come to here, it has passed everything that is visible in the snapshot. Pure. */
  positionOf(mark: SnapshotMark): LogPosition;
  /**
   * Resolves when everything that the snapshot of a mark saw is durable on the source: after a crash before that, the same
   * ids and places would stand for other transactions, and the log would be taken for what has been loaded.
   */
  settle(job: string, mark: SnapshotMark, signal: AbortSignal): Promise<void>;
  /** Whether a transaction is visible in the snapshot that a chunk was loaded under. Pure. */
  visibility(mark: SnapshotMark): (xid: number) => boolean;
  /**
   * Which of the ranges (ordered, without gap) the key of a row falls into, as the server would decide it. Null: this
   * cannot be decided outside the server, so such a table must not be cut (`ColumnDefinition.comparesExactly`).
   */
  locate(relation: LogRelation, ranges: readonly (KeyRange | null)[]): ((image: RowImage) => number) | null;
  /** The present place of the log and a snapshot taken before it was read: for a cut (design 3.1). */
  cut(job: string, signal: AbortSignal): Promise<LogCut>;
}

export interface LogReadiness {
  readonly address: LinkAddress;
  readonly tables: readonly PublishedTable[];
}

export interface BeginLog {
  readonly address: LinkAddress;
  readonly tables: readonly PublishedTable[];
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  waiting(who: readonly Waiting[]): void;
}

/** The log being read. Use: pieces, confirm now and then, close. */
export interface LogReading {
  /**
   * In commit order, without end; empty pieces now and then while nothing happens. Ends by an error or the signal. Reads
   * ahead within the bounds. Call once.
   */
  pieces(): AsyncIterable<LogPiece>;
  /** The target has everything up to here, durably: the source may forget it. Never before that. Cheap; not awaited by the server. */
  confirm(position: LogPosition): Promise<void>;
  /** `pull`: portions by query, while far behind. `stream`: as it happens. For people. */
  readonly way: 'pull' | 'stream';
  /** Ends the session. Idempotent, never throws. */
  close(): Promise<void>;
}

/** One instant of the source, held by an open session until `close`. */
export interface LogCut {
  /** Visible here means: part of the instant. For `visibility`. */
  readonly mark: SnapshotMark;
  /** When the log has been followed to here, every transaction that is visible has been handed over. */
  readonly position: LogPosition;
  /** Exported: units read under it (`OpenReading.snapshot`) are at this instant. */
  readonly snapshot: string;
  /** Idempotent, never throws. */
  close(): Promise<void>;
}
