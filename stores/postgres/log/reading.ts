import type { FollowLog, LogPiece, LogPosition, LogReading } from '../../spi/log.ts';
import { Bell } from './bell.ts';
import { PieceQueue } from './piece-queue.ts';
import { Relations } from './relations.ts';

/** What the ways of reading a log share: where they put pieces, and what has been confirmed. */
export class Following {
  readonly request: FollowLog;
  readonly bell = new Bell();
  readonly relations = new Relations();
  readonly queue: PieceQueue;
  /** The target has everything up to here. */
  confirmed: LogPosition;
  /** Everything up to here has been put into the queue. */
  handed: LogPosition;
  way: LogReading['way'] = 'stream';
  /** Whether this machine has room for transactions that the server sends before they end. */
  mayKeep = true;
  /** Whether somebody has waited for a piece since this was last set to false: it is the reading that is slow. */
  wasHungry = false;
  private handedAtMs = 0;
  private readonly ending = new AbortController();

  constructor(request: FollowLog) {
    this.request = request;
    this.confirmed = request.from;
    this.handed = request.from;
    this.queue = new PieceQueue(() => {
      this.wasHungry = true;
      this.bell.ring();
    });
  }

  /** Aborts when nobody wants any more. */
  get ended(): AbortSignal {
    return this.ending.signal;
  }

  /** `error` null: it was asked to end. */
  end(error: Error | null): void {
    this.queue.end(error);
    this.ending.abort();
    this.bell.ring();
  }

  /** Hands over a piece; waits while the one before lies there. */
  async hand(piece: LogPiece): Promise<void> {
    await this.queue.put(piece);
    this.handedAtMs = Date.now();
    if (piece.position !== null) this.handed = piece.position;
  }

  /** Whether a position alone is worth a piece. */
  get isIdlePieceDue(): boolean {
    return this.queue.isHungry && Date.now() - this.handedAtMs >= idlePieceEveryMs;
  }
}

const idlePieceEveryMs = 1_000;
