/**
 * Walks the message frames of the PostgreSQL protocol (one type byte, four bytes of length that count themselves)
 * in whatever pieces a socket delivers them, without copying CopyData.
 *
 * CopyData has the same frame in both directions, so a run of CopyData frames from one server is, byte for byte,
 * what the other server wants. A row is never looked at.
 * Protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

const copyData = 0x64;
const headerBytes = 5;

export interface FrameSink {
  /** A run of CopyData bytes, frames included; frames may be cut at either end. */
  data(run: Buffer): void;
  /**
   * A whole other message: type byte and its bytes, frame included. Answer `leave` to stop walking:
   * what follows in the piece is then given back by `feed`.
   */
  other(type: number, message: Buffer): 'go-on' | 'leave';
}

export class FrameWalker {
  private readonly sink: FrameSink;
  /** Bytes of the current CopyData message that are still to come. */
  private remaining = 0;
  /** A header that arrived in pieces, or a whole other message that did. */
  private held: Buffer = Buffer.alloc(0);
  private heldIsData = false;
  frames = 0;
  payloadBytes = 0;

  constructor(sink: FrameSink) {
    this.sink = sink;
  }

  /** Answers null to go on, or the bytes after the message at which the sink left. */
  feed(piece: Buffer): Buffer | null {
    let at = 0;
    let runStart = 0;
    if (this.held.length > 0) {
      const outcome = this.feedHeld(piece);
      if (outcome.left !== undefined) return outcome.left;
      at = outcome.at;
      runStart = outcome.runStart;
    }
    while (at < piece.length) {
      if (this.remaining > 0) {
        const step = Math.min(this.remaining, piece.length - at);
        this.remaining -= step;
        at += step;
        continue;
      }
      if (piece[at] === copyData) {
        if (piece.length - at < headerBytes) {
          this.held = Buffer.from(piece.subarray(at));
          this.heldIsData = true;
          at = piece.length;
          break;
        }
        this.beginData(piece.readUInt32BE(at + 1));
        at += headerBytes;
        continue;
      }
      if (at > runStart) this.sink.data(piece.subarray(runStart, at));
      const whole = wholeMessage(piece, at);
      if (whole === null) {
        this.held = Buffer.from(piece.subarray(at));
        this.heldIsData = false;
        return null;
      }
      at += whole.length;
      runStart = at;
      if (this.sink.other(whole[0] ?? 0, whole) === 'leave') return piece.subarray(at);
    }
    if (at > runStart) this.sink.data(piece.subarray(runStart, at));
    return null;
  }

  private beginData(length: number): void {
    this.frames += 1;
    this.remaining = length - 4;
    this.payloadBytes += this.remaining;
  }

  /** Completes what was held from the piece before. */
  private feedHeld(piece: Buffer): { at: number; runStart: number; left?: Buffer } {
    if (this.heldIsData) {
      const missing = headerBytes - this.held.length;
      if (piece.length < missing) {
        // The held bytes were already passed on as part of a run; so are these.
        this.held = Buffer.concat([this.held, piece]);
        return { at: piece.length, runStart: 0 };
      }
      const header = Buffer.concat([this.held, piece.subarray(0, missing)]);
      this.held = Buffer.alloc(0);
      this.beginData(header.readUInt32BE(1));
      return { at: missing, runStart: 0 };
    }
    const joined = Buffer.concat([this.held, piece]);
    const whole = wholeMessage(joined, 0);
    if (whole === null) {
      this.held = joined;
      return { at: piece.length, runStart: piece.length };
    }
    const used = whole.length - this.held.length;
    this.held = Buffer.alloc(0);
    if (this.sink.other(whole[0] ?? 0, whole) === 'leave') {
      return { at: used, runStart: used, left: piece.subarray(used) };
    }
    return { at: used, runStart: used };
  }
}

function wholeMessage(piece: Buffer, at: number): Buffer | null {
  if (piece.length - at < headerBytes) return null;
  const total = 1 + piece.readUInt32BE(at + 1);
  return piece.length - at < total ? null : piece.subarray(at, at + total);
}

/** Strips the frames from a run of CopyData, in place of a fresh buffer; runs may be cut anywhere. */
export class Unframer {
  private remaining = 0;
  private header = Buffer.alloc(0);

  payloadOf(run: Buffer): Buffer {
    const out = Buffer.allocUnsafe(run.length);
    let written = 0;
    let at = 0;
    while (at < run.length) {
      if (this.remaining > 0) {
        const step = Math.min(this.remaining, run.length - at);
        run.copy(out, written, at, at + step);
        written += step;
        at += step;
        this.remaining -= step;
        continue;
      }
      const missing = headerBytes - this.header.length;
      const taken = run.subarray(at, at + missing);
      at += taken.length;
      this.header = this.header.length === 0 ? Buffer.from(taken) : Buffer.concat([this.header, taken]);
      if (this.header.length < headerBytes) break;
      this.remaining = this.header.readUInt32BE(1) - 4;
      this.header = Buffer.alloc(0);
    }
    return out.subarray(0, written);
  }
}

/** Frame header for a piece of payload. */
export function copyDataHeader(payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header[0] = copyData;
  header.writeUInt32BE(payloadBytes + 4, 1);
  return header;
}
