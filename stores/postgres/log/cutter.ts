const nothing = Buffer.alloc(0);

/**
 * Cuts a stream of bytes into messages whose header says how long they are, in whatever pieces it arrives. A message that
 * lies within one piece is a part of it; one that does not is put together once, in a buffer of its own.
 *
 * Use: `push` a piece, then `next` until it answers false; then the piece is used up. No allocation for a message.
 */
export class Cutter {
  /** Where the message found by `next` lies. */
  buffer: Buffer = nothing;
  start = 0;
  end = 0;
  private piece: Buffer = nothing;
  private at = 0;
  private readonly headerBytes: number;
  /** Bytes of the whole message, header included, from its header. */
  private readonly sizeOf: (buffer: Buffer, at: number) => number;
  private readonly head: Buffer;
  private headFilled = 0;
  private joined: Buffer | null = null;
  private filled = 0;

  constructor(headerBytes: number, sizeOf: (buffer: Buffer, at: number) => number) {
    this.headerBytes = headerBytes;
    this.sizeOf = sizeOf;
    this.head = Buffer.alloc(headerBytes);
  }

  push(piece: Buffer): void {
    this.piece = piece;
    this.at = 0;
  }

  next(): boolean {
    if (this.joined !== null) return this.fill(this.joined);
    if (this.headFilled > 0) return this.fillHead();
    const { piece, at } = this;
    const left = piece.length - at;
    if (left < this.headerBytes) {
      this.headFilled = piece.copy(this.head, 0, at);
      this.at = piece.length;
      return false;
    }
    const size = this.sizeOf(piece, at);
    if (left < size) return this.begin(piece, size);
    this.buffer = piece;
    this.start = at;
    this.end = at + size;
    this.at = this.end;
    return true;
  }

  private fillHead(): boolean {
    const taken = this.piece.copy(this.head, this.headFilled, this.at, this.piece.length);
    this.headFilled += taken;
    this.at += taken;
    if (this.headFilled < this.headerBytes) return false;
    this.headFilled = 0;
    const joined = Buffer.allocUnsafe(this.sizeOf(this.head, 0));
    this.filled = this.head.copy(joined);
    this.joined = joined;
    return this.fill(joined);
  }

  private begin(piece: Buffer, size: number): false {
    this.joined = Buffer.allocUnsafe(size);
    this.filled = piece.copy(this.joined, 0, this.at);
    this.at = piece.length;
    return false;
  }

  private fill(joined: Buffer): boolean {
    const taken = this.piece.copy(joined, this.filled, this.at);
    this.filled += taken;
    this.at += taken;
    if (this.filled < joined.length) return false;
    this.joined = null;
    this.buffer = joined;
    this.start = 0;
    this.end = joined.length;
    return true;
  }
}
