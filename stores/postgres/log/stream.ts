import { SynclineError } from '../../../definitions/errors.ts';
import type { LogPosition } from '../../spi/log.ts';
import type { Sessions } from '../connection.ts';
import { quoteIdent, quoteLiteral } from '../identifiers.ts';
import { translateError } from '../sqlstate.ts';
import { Cutter } from './cutter.ts';
import { LogWire } from './log-wire.ts';
import { Decoder } from './pgoutput.ts';
import { PieceBuilder } from './piece-builder.ts';
import { lsnOf, positionAt } from './positions.ts';
import { pluginOptions } from './plugin-options.ts';
import type { Following } from './reading.ts';
import { isServerFault } from './unreadable.ts';
import { type FinishedTransaction, lengthBytes, UnfinishedTransactions } from './unfinished.ts';

/** The log as it happens: a walsender's messages, decoded as they come. */

const tickMs = 250;
const statusEveryMs = 10_000;
/** The server answers a status within moments and speaks by itself every 30 s. */
const longestSilenceMs = 75_000;
const logData = 'w'.charCodeAt(0);
const keepAlive = 'k'.charCodeAt(0);

/** Reads until it is told to stop, and then ends between two transactions. */
export async function readStream(
  sessions: Sessions,
  following: Following,
  mayEnd: () => boolean,
): Promise<void> {
  const { address } = following.request;
  const doing = `following the log of ${address.slot}`;
  const unfinished = following.mayKeep ? await UnfinishedTransactions.open() : null;
  following.mayKeep = unfinished !== null;
  const client = await sessions.openReplication(`${address.job}/log`, doing);
  const wire = new LogWire(startStatement(following), following.bell).start(client);
  const reader = new StreamReader(wire, following, unfinished);
  const timer = setInterval(() => reader.tick(), tickMs);
  try {
    await reader.run(mayEnd);
  } catch (error) {
    const explained = translateError(error, { store: sessions.store, doing });
    // Sending a transaction before it ends can fail where sending it afterwards does not: on 15 and 18, when it changes a
    // table in a savepoint that it goes back to ("could not map filenumber"). It would fail for ever.
    if (!following.mayKeep || !reader.canStop || !isServerFault(explained)) throw explained;
    following.mayKeep = false;
  } finally {
    clearInterval(timer);
    reader.sendConfirmed();
    await wire.close();
    await client.end().catch(() => undefined);
    await unfinished?.close();
  }
}

/** Unfinished transactions are sent only with protocol 2. `parallel` (16) would let them come in another order. */
function startStatement({ request, handed, mayKeep }: Following): string {
  const options = {
    ...pluginOptions(request, mayKeep ? 2 : 1),
    ...(mayKeep ? { streaming: 'on' } : {}),
  };
  const given = Object.entries(options).map(([name, value]) => `${name} ${quoteLiteral(value)}`);
  return `START_REPLICATION SLOT ${quoteIdent(request.address.slot)} LOGICAL ${lsnOf(handed)} (${given.join(', ')})`;
}

class StreamReader {
  private readonly wire: LogWire;
  private readonly following: Following;
  private readonly pieces: PieceBuilder;
  private readonly decoder: Decoder;
  private readonly unfinished: UnfinishedTransactions | null;
  private statusAtMs = 0;
  private sent: LogPosition = '';

  constructor(wire: LogWire, following: Following, unfinished: UnfinishedTransactions | null) {
    this.wire = wire;
    this.following = following;
    this.unfinished = unfinished;
    const { pieceChanges, pieceBytes } = following.request;
    this.pieces = new PieceBuilder({ changes: pieceChanges, bytes: pieceBytes }, following.handed);
    this.decoder = new Decoder(following.relations, this.pieces, unfinished);
  }

  get canStop(): boolean {
    return this.pieces.canStop;
  }

  async run(mayEnd: () => boolean): Promise<void> {
    const { wire, following, pieces, unfinished } = this;
    while (!following.queue.isOver) {
      await this.readWaiting();
      if (unfinished !== null && unfinished.isPending) {
        if (await unfinished.write()) continue;
        following.mayKeep = false;
        return;
      }
      if (wire.failure !== null) throw wire.failure as Error;
      if (pieces.canStop && mayEnd()) return;
      if (following.queue.isHungry && pieces.hasWhole) await following.hand(pieces.take());
      else if (following.isIdlePieceDue && pieces.hasMoved) await following.hand(pieces.take());
      else await following.bell.wait();
    }
  }

  /** Everything that has arrived, unless the disk has to catch up first. */
  private async readWaiting(): Promise<void> {
    const { wire, following, pieces, unfinished } = this;
    while (unfinished?.isPending !== true && wire.next()) {
      this.read(wire.buffer, wire.begin, wire.end);
      if (unfinished !== null && unfinished.finished !== null) await this.replay(unfinished.finished);
      if (pieces.isFull) await following.hand(pieces.take());
      if (following.queue.isOver) return;
    }
  }

  /** What was kept of a transaction goes the way of all others, now that it has committed. */
  private async replay({ transaction, end, kept }: FinishedTransaction): Promise<void> {
    const { pieces, decoder, following, unfinished } = this;
    if (unfinished !== null) unfinished.finished = null;
    pieces.begin(transaction);
    const cutter = new Cutter(lengthBytes, (buffer, at) => lengthBytes + buffer.readUInt32BE(at));
    for await (const block of kept?.blocks() ?? []) {
      cutter.push(block);
      while (cutter.next()) {
        const { buffer, start, end: messageEnd } = cutter;
        if (kept?.aborted.has(buffer.readUInt32BE(start + lengthBytes + 1)) === true) continue;
        decoder.replay(buffer, start + lengthBytes, messageEnd);
        if (pieces.isFull) await following.hand(pieces.take());
      }
      if (following.queue.isOver) break;
    }
    await kept?.close();
    pieces.commit(end);
  }

  private read(buffer: Buffer, begin: number, end: number): void {
    if (buffer[begin] === logData) this.decoder.read(buffer, begin + 25, end);
    else if (buffer[begin] === keepAlive) {
      this.pieces.passed(positionAt(buffer, begin + 1));
      if (buffer[begin + 17] === 1) this.sendStatus();
    }
  }

  /** Now and then: what has been confirmed goes to the server, and a server that is silent for long is gone. */
  tick(): void {
    const { wire, following } = this;
    if (wire.silentMs > longestSilenceMs) {
      wire.failure ??= new SynclineError('store.connectionLost', 'The source has been silent for too long.');
    }
    if (following.confirmed !== this.sent || Date.now() - this.statusAtMs >= statusEveryMs) this.sendStatus();
    following.bell.ring();
  }

  sendConfirmed(): void {
    if (this.following.confirmed !== this.sent) this.sendStatus();
  }

  private sendStatus(): void {
    const { confirmed } = this.following;
    const isDue = Date.now() - this.statusAtMs >= statusEveryMs;
    this.wire.sendStatus(confirmed, isDue);
    this.statusAtMs = Date.now();
    this.sent = confirmed;
  }
}
