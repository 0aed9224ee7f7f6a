import type { LogChange, LogPiece, LogPosition, LogTransaction } from '../../spi/log.ts';

export interface PieceLimits {
  readonly changes: number;
  readonly bytes: number;
}

/**
 * Collects decoded changes and cuts them into pieces: whole transactions while they fit, and of one that does not, parts
 * with position null.
 */
export class PieceBuilder {
  private readonly limits: PieceLimits;
  private changes: LogChange[] = [];
  private bytes = 0;
  /** Of these, what belongs to transactions that have ended. */
  private wholeChanges = 0;
  private wholeBytes = 0;
  private transactions = 0;
  private open: LogTransaction | null = null;
  /** A transaction that the reader has already; its changes are left out. */
  private skipping = false;
  private openHasChanges = false;
  /** Parts of the open transaction have been handed over. */
  private partly = false;
  private position: LogPosition;
  private handed: LogPosition;

  /** Nothing at or before `from` is handed over. */
  constructor(limits: PieceLimits, from: LogPosition) {
    this.limits = limits;
    this.position = from;
    this.handed = from;
  }

  begin(transaction: LogTransaction): void {
    this.open = transaction;
    this.skipping = transaction.position < this.handed;
    this.openHasChanges = false;
  }

  /** Of the open transaction; null: changes are not wanted. */
  get transaction(): LogTransaction | null {
    return this.skipping ? null : this.open;
  }

  add(change: LogChange, bytes: number): void {
    this.changes.push(change);
    this.bytes += bytes;
    this.openHasChanges = true;
  }

  /** The open transaction has ended, and its commit lies before `end`. */
  commit(end: LogPosition): void {
    if (this.openHasChanges) this.transactions += 1;
    this.wholeChanges = this.changes.length;
    this.wholeBytes = this.bytes;
    this.open = null;
    this.skipping = false;
    this.partly = false;
    this.passed(end);
  }

  /** The log has been read to here. */
  passed(position: LogPosition): void {
    if (position > this.position) this.position = position;
  }

  get isFull(): boolean {
    return this.changes.length >= this.limits.changes || this.bytes >= this.limits.bytes;
  }

  /** There is something to hand over besides a position. */
  get hasWhole(): boolean {
    return this.transactions > 0;
  }

  /** Only the position has moved. */
  get hasMoved(): boolean {
    return this.open === null && this.position > this.handed;
  }

  /** Nothing of an open transaction has been handed over: another reading can go on from `handedTo`. */
  get canStop(): boolean {
    return !this.partly;
  }

  get handedTo(): LogPosition {
    return this.handed;
  }

  /** Whole transactions if there are any, else a part of the open one. */
  take(): LogPiece {
    if (this.transactions > 0 || this.open === null) return this.takeWhole();
    const { changes, bytes } = this;
    this.changes = [];
    this.bytes = 0;
    this.partly = true;
    return { changes, position: null, transactions: 0, bytes };
  }

  private takeWhole(): LogPiece {
    const isAll = this.wholeChanges === this.changes.length;
    const piece: LogPiece = {
      changes: isAll ? this.changes : this.changes.slice(0, this.wholeChanges),
      position: this.position,
      transactions: this.transactions,
      bytes: this.wholeBytes,
    };
    this.changes = isAll ? [] : this.changes.slice(this.wholeChanges);
    this.bytes -= this.wholeBytes;
    this.wholeChanges = 0;
    this.wholeBytes = 0;
    this.transactions = 0;
    this.handed = this.position;
    return piece;
  }
}
