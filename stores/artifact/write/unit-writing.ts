import { pipeline, type Readable } from 'node:stream';
import { SynclineError } from '../../../definitions/errors.ts';
import type {
  BeginWriting,
  CommitHooks,
  LoadedUnit,
  UnitReceipt,
  UnitWriting,
} from '../../spi/chunk-target.ts';
import type { EarlierLoad, RowStream } from '../../spi/rows.ts';
import type { Artifact } from '../artifact.ts';
import type { HeldRows } from '../backup/entry.ts';
import { type Begun, codingOf } from '../load/backup-under-way.ts';
import { receiptKey, receiptsOf, rowsReceipt } from '../load/receipts.ts';
import { newToken, objectKey } from '../objects/layout.ts';
import { refOf, type WrittenRef, writeObject } from '../objects/sealed.ts';
import type { EarlierRows } from './earlier.ts';
import { RowCounter } from './frames.ts';

export interface WritingPlace {
  readonly artifact: Artifact;
  readonly backup: string;
  readonly begun: Begun;
  /** Of the plan. */
  readonly planToken: string;
  readonly earlier: EarlierRows | null;
}

/**
 * One unit on its way into one object. The object is there whole before its receipt is; without a receipt it is
 * nothing: the next attempt writes one of its own, and publishing sweeps what no receipt names.
 */
export class ObjectWriting implements UnitWriting {
  readonly earlier: EarlierLoad | null;
  private readonly at: WritingPlace;
  private readonly request: BeginWriting;
  private readonly token = newToken();
  private object: WrittenRef | null = null;
  private rows: number | null = null;
  private isCommitted = false;

  constructor(at: WritingPlace, request: BeginWriting) {
    this.at = at;
    this.request = request;
    this.earlier = at.earlier === null ? null : { content: at.earlier.content, rows: at.earlier.held.rows };
  }

  async write(rows: RowStream): Promise<{ readonly rows: number | null }> {
    const { artifact, backup, begun } = this.at;
    const { unit, ref, signal } = this.request;
    const counter = rows.framed ? new RowCounter(rows.format) : null;
    const key = objectKey({
      job: ref.job,
      backup,
      chunk: unit.chunk,
      slice: unit.slice,
      token: this.token,
    });
    const body = counter === null ? rows.bytes : through(rows.bytes, counter);
    this.object = await writeObject(artifact.place, key, { body, coding: codingOf(begun), signal });
    this.rows = counter?.rows ?? null;
    return { rows: this.rows };
  }

  /** Rows have no keys and indexes here. */
  build(): Promise<void> {
    return Promise.resolve();
  }

  count(): Promise<number | null> {
    return Promise.resolve(this.rows);
  }

  /** Nobody here knows what the bytes mean; the digest of the source is kept, and whoever restores compares with it. */
  digest(): Promise<null> {
    return Promise.resolve(null);
  }

  async commit(receipt: UnitReceipt, hooks: CommitHooks): Promise<void> {
    const { object } = this;
    if (object === null) throw new SynclineError('internal.unexpected', 'commit() before write().');
    await hooks.beforeCommit();
    await this.writeReceipt(receipt.bytes, {
      rows: receipt.rows,
      bytes: object.rawBytes,
      digest: receipt.digest,
      object: refOf(object),
      mark: receipt.mark,
      content: receipt.content ?? null,
      from: this.at.backup,
      at: new Date().toISOString(),
    });
  }

  async refer(receipt: Pick<UnitReceipt, 'mark' | 'content'>, hooks: CommitHooks): Promise<LoadedUnit> {
    const { earlier } = this.at;
    if (earlier === null) throw new SynclineError('internal.unexpected', 'There is nothing to refer to.');
    await hooks.beforeCommit();
    const { held } = earlier;
    await this.writeReceipt(0, {
      ...held,
      mark: receipt.mark,
      content: receipt.content ?? null,
      at: new Date().toISOString(),
    });
    // No byte left the source.
    return { rows: held.rows, bytes: 0, digest: held.digest };
  }

  private async writeReceipt(bytes: number, held: HeldRows): Promise<void> {
    const { artifact, backup, planToken } = this.at;
    this.request.signal.throwIfAborted();
    const { ordinal } = this.request.unit;
    const key = receiptKey({ backup, ordinal, rows: held.rows, bytes, token: this.token });
    await artifact.place.writeJson(key, rowsReceipt(planToken, held));
    this.isCommitted = true;
  }

  /**
   * Only this attempt knows the name of its object, so nobody else can have counted on it; but the receipt may be there
   * although writing it seemed to fail, and then the object stays. What stays by mistake is swept when publishing.
   */
  async abort(): Promise<void> {
    const { object } = this;
    if (object === null || this.isCommitted) return;
    this.object = null;
    try {
      const { artifact, backup } = this.at;
      const { ordinal } = this.request.unit;
      const receipts = await receiptsOf(artifact.place, backup, ordinal);
      if (receipts.some((receipt) => receipt.key.endsWith(`.${this.token}`))) return;
      await artifact.place.remove([object.key]);
    } catch {
      // The store that failed is the one that would have to remove it.
    }
  }
}

/** Each ends with the other, and with its error. */
function through(rows: Readable, counter: RowCounter): Readable {
  pipeline(rows, counter, () => undefined);
  return counter;
}
