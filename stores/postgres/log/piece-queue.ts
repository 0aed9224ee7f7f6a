import type { LogPiece } from '../../spi/log.ts';

/** Between the one who decodes and the one who applies: one piece lies ready while the next is made. */
export class PieceQueue {
  private ready: LogPiece | null = null;
  private taker: { resolve(piece: LogPiece | null): void; reject(error: unknown): void } | null = null;
  private room: (() => void) | null = null;
  private over: { readonly error: Error | null } | null = null;
  private readonly onHungry: () => void;

  /** `onHungry`: somebody waits for a piece. */
  constructor(onHungry: () => void) {
    this.onHungry = onHungry;
  }

  get isHungry(): boolean {
    return this.taker !== null;
  }

  get isOver(): boolean {
    return this.over !== null;
  }

  /** Waits until the piece before has been taken. */
  async put(piece: LogPiece): Promise<void> {
    while (this.ready !== null && this.over === null) {
      await new Promise<void>((resolve) => (this.room = resolve));
    }
    if (this.over !== null) return;
    const { taker } = this;
    this.taker = null;
    if (taker === null) this.ready = piece;
    else taker.resolve(piece);
  }

  /** The next piece; null at the end. Throws what ended it. What is ready is handed over before an error. */
  async take(): Promise<LogPiece | null> {
    const { ready } = this;
    if (ready !== null) {
      this.ready = null;
      this.room?.();
      this.room = null;
      return ready;
    }
    if (this.over !== null) return this.ended(this.over.error);
    return await new Promise<LogPiece | null>((resolve, reject) => {
      this.taker = { resolve, reject };
      this.onHungry();
    });
  }

  /** `error` null: it was asked to end. */
  end(error: Error | null): void {
    if (this.over !== null) return;
    this.over = { error };
    this.room?.();
    const { taker } = this;
    this.taker = null;
    if (error === null) {
      this.ready = null;
      taker?.resolve(null);
    } else taker?.reject(error);
  }

  private ended(error: Error | null): null {
    if (error === null) return null;
    throw error;
  }
}
