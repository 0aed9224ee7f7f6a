import { SynclineError } from '../../../definitions/errors.ts';
import type {
  AppliedLeaf,
  CommitBatch,
  DrainSpool,
  LinkState,
  LinkWriter,
  OpenLink,
  RoutedBatch,
} from '../../spi/log-target.ts';
import type { LogChange, LogPosition } from '../../spi/log.ts';
import { displayName } from '../../spi/tables.ts';
import type { Sessions } from '../connection.ts';
import { writeLetter, readLetter, removeLetter } from './dead-letters.ts';
import { drainSpool } from './drain.ts';
import { DurablePosition } from './durable-position.ts';
import { LaneSession } from './lane-session.ts';
import { Lanes } from './lanes.ts';
import { LeafBook } from './leaf-book.ts';
import { linkStateOf, noLink, readLink } from './link-state.ts';
import { LinkTransaction } from './link-transaction.ts';
import { Portions } from './portions.ts';
import { RelationShelf } from './relations.ts';
import { lastInSpool, spooledBytes, spoolSteps } from './spool.ts';

/** See LogTarget.open. */
export async function openWriter(sessions: Sessions, request: OpenLink): Promise<LinkWriter> {
  const sessionsOfLanes = [await LaneSession.open(sessions, request, 0)] as [LaneSession, ...LaneSession[]];
  const [first] = sessionsOfLanes;
  try {
    const row = await readLink(first.session, request.ref);
    if (row === null) throw noLink(request.ref);
    const lastSeq = await lastInSpool(first.session, request.ref);
    const shelf = new RelationShelf(request.ref);
    await shelf.load(first.session);
    const lanes = await Lanes.read(first.session, linkStateOf(row), request.lanes);
    for (let lane = 1; lane < lanes.count; lane += 1)
      sessionsOfLanes.push(await LaneSession.open(sessions, request, lane));
    const transaction = new LinkTransaction({ row, lanes, sessions: sessionsOfLanes, book: new LeafBook() });
    return new PostgresLinkWriter({ request, transaction, shelf, lastSeq });
  } catch (error) {
    for (const lane of sessionsOfLanes) await lane.close();
    throw error;
  }
}

interface Opened {
  readonly request: OpenLink;
  readonly transaction: LinkTransaction;
  readonly shelf: RelationShelf;
  readonly lastSeq: number;
}

class PostgresLinkWriter implements LinkWriter {
  private readonly request: OpenLink;
  private readonly transaction: LinkTransaction;
  private readonly shelf: RelationShelf;
  private lastSeq: number;
  private consistentAt: LogPosition | null = null;
  private readonly portions = new Portions();
  private readonly onDisk = new DurablePosition();
  private readonly onAbort = (): void => void this.close();

  constructor({ request, transaction, shelf, lastSeq }: Opened) {
    this.request = request;
    this.transaction = transaction;
    this.shelf = shelf;
    this.lastSeq = lastSeq;
    request.signal.addEventListener('abort', this.onAbort, { once: true });
  }

  get state(): LinkState {
    return this.transaction.state;
  }

  know(leaves: readonly AppliedLeaf[]): Promise<void> {
    this.transaction.book.know(leaves);
    return Promise.resolve();
  }

  async apply(batch: RoutedBatch): Promise<void> {
    await this.orRollback(async () => {
      if (batch.spool.length > 0) await this.transaction.keepTogether();
      await this.transaction.apply(batch.apply);
      await this.spool(batch);
      const { tally } = this.transaction;
      tally.transactions += batch.transactions;
      tally.bytes += batch.bytes;
      tally.changes += batch.apply.length + batch.spool.length + batch.filtered;
      tally.applied += batch.apply.length;
      tally.filtered += batch.filtered;
      this.transaction.noteCommitTime(batch.apply.at(-1));
      this.transaction.noteCommitTime(batch.spool.at(-1)?.change);
    });
  }

  private async spool({ spool }: RoutedBatch): Promise<void> {
    const spooling = { ref: this.request.ref, shelf: this.shelf, firstSeq: this.lastSeq + 1 };
    const steps = spoolSteps(spooling, spool);
    if (steps.length > 0) await this.transaction.first.run(steps);
    this.lastSeq += spool.length;
    const { tally } = this.transaction;
    tally.spooledChanges += spool.length;
    for (const { change } of spool) tally.spooledBytes += spooledBytes(change);
  }

  async commit(to: LogPosition, how: CommitBatch): Promise<LinkState> {
    if (to < this.state.position)
      throw new SynclineError('internal.unexpected', 'The position of a link cannot move back.');
    return await this.orRollback(() => this.commitTo(to, how));
  }

  private async commitTo(to: LogPosition, how: CommitBatch): Promise<LinkState> {
    const state = await this.transaction.commit({ to, consistentAt: this.consistentAt, ...how });
    this.consistentAt = null;
    this.shelf.committed();
    return state;
  }

  async durable(): Promise<LogPosition> {
    const { position } = this.state;
    if (this.request.durable) return position;
    this.expectNothingOpen();
    return await this.onDisk.at(this.transaction.first.session, position);
  }

  async rollback(): Promise<void> {
    await this.transaction.rollback();
    this.consistentAt = null;
    this.shelf.rolledBack();
  }

  private async orRollback<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.request.signal.throwIfAborted();
      return await work();
    } catch (error) {
      this.transaction.noteFailure(error);
      await this.rollback();
      throw error;
    }
  }

  private expectNothingOpen(): void {
    if (this.transaction.isOpen)
      throw new SynclineError('internal.unexpected', 'What was applied before has to be committed first.');
  }

  async drain(
    request: DrainSpool,
  ): Promise<{ readonly applied: number; readonly filtered: number; readonly more: boolean }> {
    this.expectNothingOpen();
    return await this.orRollback(async () => {
      const { transaction, shelf, portions, lastSeq } = this;
      const draining = { lane: transaction.first, ref: this.request.ref, shelf, portions, lastSeq };
      const drained = await drainSpool(draining, request, async (changes) => {
        this.knowLeavesOf(changes, request.leafOf);
        await transaction.applyAlone(changes);
      });
      const { applied, filtered, portion } = drained;
      if (applied + filtered > 0) {
        transaction.tally.applied += applied;
        transaction.tally.filtered += filtered;
        transaction.tally.spooledChanges -= applied + filtered;
        transaction.tally.spooledBytes -= portion.bytes;
        await this.commitTo(this.state.position, quietly);
        portions.taken(request.leaves, portion);
      } else {
        await this.rollback();
      }
      return { applied, filtered, more: portion.more };
    });
  }

  markConsistent(at: LogPosition): Promise<LinkState> {
    this.consistentAt = this.state.consistentAt === null ? at : null;
    return Promise.resolve({ ...this.state, consistentAt: this.state.consistentAt ?? at });
  }

  private knowLeavesOf(changes: readonly LogChange[], leafOf: DrainSpool['leafOf']): void {
    const relations = new Set(changes.map(({ relation }) => relation));
    this.transaction.book.know([...relations].map(leafOf));
  }

  async setAside(changes: readonly LogChange[], why: Parameters<LinkWriter['setAside']>[1]): Promise<void> {
    const [first] = changes;
    if (first === undefined) return;
    await this.orRollback(async () => {
      await this.transaction.keepTogether();
      const tables = new Set(changes.map(({ relation }) => this.tableOf(relation.name)));
      const aside = { transaction: first.transaction, changes, tables: [...tables].sort(), ...why };
      const isNew = await writeLetter(this.letters, aside);
      const { tally } = this.transaction;
      tally.changes += changes.length;
      tally.transactions += isNew ? 1 : 0;
      tally.deadTransactions += isNew ? 1 : 0;
      tally.code = why.code;
      this.transaction.noteCommitTime(first);
    });
  }

  private tableOf(name: LogChange['relation']['name']): string {
    return this.transaction.book.tableOf(name) ?? displayName(name);
  }

  private get letters(): Parameters<typeof writeLetter>[0] {
    return { lane: this.transaction.first, ref: this.request.ref, shelf: this.shelf };
  }

  async retryDead(
    id: number,
    leafOf: DrainSpool['leafOf'],
  ): Promise<{ readonly changes: number; readonly conflicts: number }> {
    this.expectNothingOpen();
    return await this.orRollback(async () => {
      const { transaction } = this;
      const changes = await readLetter(this.letters, id);
      this.knowLeavesOf(changes, leafOf);
      await transaction.applyAlone(changes);
      await transaction.first.run(removeLetter(id));
      const { conflicts } = transaction.tally;
      transaction.tally.applied += changes.length;
      transaction.tally.deadTransactions -= 1;
      await this.commitTo(this.state.position, quietly);
      return { changes: changes.length, conflicts };
    });
  }

  async close(): Promise<void> {
    this.request.signal.removeEventListener('abort', this.onAbort);
    await this.transaction.close();
  }
}

/** Of a transaction that is no batch of the log. */
const quietly: CommitBatch = { record: null, beforeCommit: () => Promise.resolve() };
