import { bytesBetween, type LogPosition } from '../../spi/log.ts';
import type { OpenSession, Session, Sessions } from '../connection.ts';
import { CopyOut } from '../copy/copy-out.ts';
import { quoteLiteral } from '../identifiers.ts';
import { translateError } from '../sqlstate.ts';
import { Cutter } from './cutter.ts';
import { Decoder } from './pgoutput.ts';
import { PieceBuilder } from './piece-builder.ts';
import { pluginOptions } from './plugin-options.ts';
import { lsnOf, positionAfter } from './positions.ts';
import type { Following } from './reading.ts';
import { expectSlot, type Slot } from './slot.ts';

/**
 * The log in portions, while far behind: the server decodes one and COPY brings it, which costs a sixth of a walsender's
 * one send for each message (research 2.9). Peeked, never taken: the slot moves only to what has been confirmed, so a
 * portion begins with what the one before may have told already, and that is passed over.
 */

/** So many times as large a portion may become. */
const mostPortions = 4;

interface PullOptions {
  /** Of log in one portion, at least: the server keeps its changes in work_mem and then in temporary files. */
  readonly portionBytes: number;
  /** Whether it is still worth while for who has read up to `from`. */
  isFar(slot: Slot, from: LogPosition): boolean;
}

/** A portion that a session has been asked for. */
interface Portion {
  readonly session: OpenSession;
  readonly copy: CopyOut;
  readonly upTo: LogPosition;
}

/** Returns when the end of the log is near. */
export async function readPull(
  sessions: Sessions,
  following: Following,
  options: PullOptions,
): Promise<void> {
  const pull = new Pull(following, options);
  const onEnd = (): void => void pull.close();
  following.ended.addEventListener('abort', onEnd, { once: true });
  try {
    await pull.open(sessions);
    await pull.run();
  } catch (error) {
    // Ended by `onEnd`: then it is no error.
    if (!following.queue.isOver) throw error;
  } finally {
    following.ended.removeEventListener('abort', onEnd);
    await pull.close();
  }
}

/**
 * Two sessions in turn, where there are two: the server has decoded all of a portion when the first row of it comes, and
 * decodes the next one while these rows are read and applied. One session alone has server and target wait for each other.
 */
class Pull {
  private readonly following: Following;
  private readonly options: PullOptions;
  private readonly pieces: PieceBuilder;
  private readonly own: OpenSession[] = [];
  private next: Promise<Portion | null> | null = null;

  constructor(following: Following, options: PullOptions) {
    const { pieceChanges, pieceBytes } = following.request;
    this.following = following;
    this.options = options;
    this.pieces = new PieceBuilder({ changes: pieceChanges, bytes: pieceBytes }, following.handed);
  }

  async open(sessions: Sessions): Promise<void> {
    const { address } = this.following.request;
    const label = `${address.job}/log`;
    const doing = `pulling the log of ${address.slot}`;
    this.own.push(await sessions.open(label, doing));
    const other = await sessions.openIfFree(label, doing);
    if (other !== null) this.own.push(other);
  }

  async run(): Promise<void> {
    const [first] = this.own;
    while (first !== undefined && !this.following.queue.isOver) {
      const portion = await (this.next ?? this.ask(first, this.following.handed));
      this.next = null;
      if (portion === null) return;
      await this.read(portion);
    }
  }

  /** Null: the end is near. */
  private async ask(session: OpenSession, from: LogPosition): Promise<Portion | null> {
    const { following, options } = this;
    await advanceSlot(session, following);
    const slot = await expectSlot(session, following.request.address);
    if (!options.isFar(slot, from)) return null;
    const upTo = endOfPortion(slot, from, options);
    const copy = new CopyOut(copyStatement(following, upTo), {
      framed: true,
      explain: (error) => translateError(error, session.place),
    });
    return { session, upTo, copy: copy.start(session.client) };
  }

  /** Its slot is free again, since the portion has been decoded. */
  private askNext({ session, upTo }: Portion): void {
    const other = this.own.find((each) => each !== session);
    if (other === undefined || this.next !== null) return;
    this.next = this.ask(other, upTo);
    // Whoever takes it learns of the error; perhaps nobody does.
    this.next.catch(() => undefined);
  }

  private async read(portion: Portion): Promise<void> {
    const { following, pieces } = this;
    const { copy, upTo } = portion;
    const decoder = new Decoder(following.relations, pieces, null);
    const frames = new Cutter(frameBytes, (buffer, at) => 1 + buffer.readUInt32BE(at + 1));
    let before = frameBytes + fileHeaderBytes;
    for await (const chunk of copy as AsyncIterable<Buffer>) {
      frames.push(chunk);
      while (frames.next()) {
        const message = frames.start + before + rowHeaderBytes;
        before = frameBytes;
        // At the end stands a row that is shorter than its header.
        if (message < frames.end) {
          this.askNext(portion);
          decoder.read(frames.buffer, message, frames.end);
        }
        if (pieces.isFull) await following.hand(pieces.take());
      }
      if (following.queue.isOver) return;
    }
    await copy.finished;
    // Every commit that begins before `upTo` has been read, or the server would have gone on.
    pieces.passed(upTo);
    if (pieces.hasMoved) await following.hand(pieces.take());
  }

  /** Their work_mem is not everybody's. */
  async close(): Promise<void> {
    await Promise.all(this.own.map((session) => session.destroy()));
  }
}

/** Each portion begins by reading again what lies behind the slot's restart, so one is not smaller than that. */
function endOfPortion(slot: Slot, from: LogPosition, options: PullOptions): LogPosition {
  const again = bytesBetween(slot.restart, from);
  const bytes = Math.min(Math.max(options.portionBytes, again), options.portionBytes * mostPortions);
  const upTo = positionAfter(from, bytes);
  return upTo < slot.end ? upTo : slot.end;
}

/** Moves the slot to what has been confirmed. */
export async function advanceSlot(session: Session, { request, confirmed }: Following): Promise<void> {
  await session.query(
    `SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots
      WHERE slot_name = $1 AND confirmed_flush_lsn < $2::pg_lsn AND pg_current_wal_flush_lsn() >= $2::pg_lsn`,
    [request.address.slot, lsnOf(confirmed)],
  );
}

/**
 * A message of CopyData holds one row of COPY's binary format, always: a number of fields (16 bits, -1 at the end), then each
 * behind its length (32 bits). In the first one the file's header of 19 bytes stands before it.
 */
const frameBytes = 5;
const fileHeaderBytes = 19;
const rowHeaderBytes = 6;

function copyStatement({ request }: Following, upTo: LogPosition): string {
  const options = Object.entries(pluginOptions(request, 1)).flat().map(quoteLiteral);
  return `SET work_mem = '32MB'; COPY (SELECT data FROM pg_logical_slot_peek_binary_changes(
    ${quoteLiteral(request.address.slot)}, ${quoteLiteral(lsnOf(upTo))}, NULL, ${options.join(', ')})) TO STDOUT (FORMAT binary)`;
}
