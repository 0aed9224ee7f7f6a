import { SynclineError } from '../../../definitions/errors.ts';
import type { LogPosition, LogRelation, LogTransaction, RowChange, RowImage } from '../../spi/log.ts';
import type { PieceBuilder } from './piece-builder.ts';
import { positionAt } from './positions.ts';
import type { Relations } from './relations.ts';

/**
 * Messages of the output plugin `pgoutput`, protocols 1 and 2.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */

const code = (letter: string): number => letter.charCodeAt(0);
const messages = {
  begin: code('B'),
  commit: code('C'),
  insert: code('I'),
  update: code('U'),
  delete: code('D'),
  truncate: code('T'),
  relation: code('R'),
  type: code('Y'),
  origin: code('O'),
  streamStart: code('S'),
  streamStop: code('E'),
  streamCommit: code('c'),
  streamAbort: code('A'),
} as const;
const newTuple = code('N');
const textValue = code('t');
const binaryValue = code('b');

/** Where changes of transactions go that the server sends before it knows how they end. */
export interface Unfinished {
  /** A message of the transaction; behind its type byte stands the id of its sub-transaction. */
  keep(xid: number, message: Buffer): void;
  /** `subxid` is rolled back; the whole transaction where both are the same. */
  abort(xid: number, subxid: number): void;
  /** Its messages are decoded (`Decoder.replay`) before anything that comes later. */
  finish(transaction: LogTransaction, end: LogPosition): void;
}

/** Turns messages into changes. Images are parts of the buffer that a message lies in. */
export class Decoder {
  private readonly relations: Relations;
  private readonly pieces: PieceBuilder;
  private readonly unfinished: Unfinished | null;
  /** The transaction whose unfinished changes are being read; null: none. */
  private streamed: number | null = null;
  private buffer: Buffer = Buffer.alloc(0);
  private end = 0;
  /** Of the change that is being read. */
  private transaction: LogTransaction | null = null;
  private relation: LogRelation | null = null;
  private relationId = 0;
  private bytes = 0;

  constructor(relations: Relations, pieces: PieceBuilder, unfinished: Unfinished | null) {
    this.relations = relations;
    this.pieces = pieces;
    this.unfinished = unfinished;
  }

  /** One message, from its type byte on. */
  read(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer;
    this.end = end;
    const type = buffer[start] ?? 0;
    if (this.streamed === null) this.readMessage(type, start + 1);
    else this.readStreamed(this.streamed, type, start);
  }

  /** One message that was kept, as a part of the transaction that `pieces` has open. */
  replay(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer;
    this.end = end;
    this.readContent(buffer[start] ?? 0, start + 5);
  }

  private readMessage(type: number, at: number): void {
    const { buffer } = this;
    switch (type) {
      case messages.begin:
        this.pieces.begin(transactionOf(buffer, at, buffer.readUInt32BE(at + 16)));
        return;
      case messages.commit:
        this.pieces.commit(positionAt(buffer, at + 9));
        return;
      case messages.streamStart:
        this.streamed = buffer.readUInt32BE(at);
        return;
      case messages.streamCommit: {
        const xid = buffer.readUInt32BE(at);
        const transaction = {
          xid,
          position: positionAt(buffer, at + 5),
          committedAtMs: millisecondsAt(buffer, at + 21),
        };
        this.unfinished?.finish(transaction, positionAt(buffer, at + 13));
        return;
      }
      case messages.streamAbort:
        this.unfinished?.abort(buffer.readUInt32BE(at), buffer.readUInt32BE(at + 4));
        return;
      default:
        this.readContent(type, at);
    }
  }

  private readStreamed(xid: number, type: number, start: number): void {
    if (type === messages.streamStop) this.streamed = null;
    else if (type !== messages.origin) this.unfinished?.keep(xid, this.buffer.subarray(start, this.end));
  }

  private readContent(type: number, at: number): void {
    switch (type) {
      case messages.insert:
        if (this.isWanted(at)) this.add('insert', null, this.buffer.subarray(at + 5, this.end));
        return;
      case messages.update:
        if (this.isWanted(at)) this.readUpdate(at + 4);
        return;
      case messages.delete:
        if (this.isWanted(at)) this.add('delete', this.buffer.subarray(at + 5, this.end), null);
        return;
      case messages.truncate:
        this.readTruncate(at);
        return;
      case messages.relation:
        this.relations.readRelation(this.buffer, at);
        this.relationId = 0;
        return;
      case messages.type:
        this.relations.readType(this.buffer, at);
        return;
      case messages.origin:
        return;
      default:
        throw new SynclineError(
          'internal.unexpected',
          `The log holds a message of an unknown kind (${type}).`,
        );
    }
  }

  /** Notes transaction, relation and size of a change. False: the reader has the transaction already. */
  private isWanted(at: number): boolean {
    const { transaction } = this.pieces;
    if (transaction === null) return false;
    this.transaction = transaction;
    const id = this.buffer.readUInt32BE(at);
    if (id !== this.relationId) {
      this.relation = this.relations.get(id);
      this.relationId = id;
    }
    this.bytes = this.end - at;
    return true;
  }

  private readUpdate(at: number): void {
    const { buffer, end } = this;
    if (buffer[at] === newTuple) {
      this.add('update', null, buffer.subarray(at + 1, end));
      return;
    }
    const oldEnd = endOfTuple(buffer, at + 1);
    this.add('update', buffer.subarray(at + 1, oldEnd), buffer.subarray(oldEnd + 1, end));
  }

  /** The one place where changes of rows are made: all have one shape. */
  private add(kind: RowChange['kind'], old: RowImage | null, next: RowImage | null): void {
    const { relation, transaction } = this;
    if (relation === null || transaction === null) return;
    this.pieces.add({ kind, relation, transaction, old, new: next }, this.bytes);
  }

  private readTruncate(at: number): void {
    const { transaction } = this.pieces;
    if (transaction === null) return;
    const count = this.buffer.readUInt32BE(at);
    for (let index = 0; index < count; index += 1) {
      const relation = this.relations.get(this.buffer.readUInt32BE(at + 5 + index * 4));
      this.pieces.add({ kind: 'truncate', relation, transaction }, this.end - at);
    }
  }
}

function transactionOf(buffer: Buffer, at: number, xid: number): LogTransaction {
  return { xid, position: positionAt(buffer, at), committedAtMs: millisecondsAt(buffer, at + 8) };
}

const year2000Ms = Date.UTC(2000, 0, 1);

/** Microseconds since 2000. Exact in a double for the next two centuries. */
function millisecondsAt(buffer: Buffer, at: number): number {
  const microseconds = buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4);
  return year2000Ms + Math.floor(microseconds / 1000);
}

/** Where the tuple that begins at `at` ends. */
function endOfTuple(buffer: Buffer, at: number): number {
  let next = at + 2;
  for (let left = buffer.readUInt16BE(at); left > 0; left -= 1) {
    const kind = buffer[next];
    next += 1;
    if (kind === textValue || kind === binaryValue) next += 4 + buffer.readUInt32BE(next);
  }
  return next;
}
