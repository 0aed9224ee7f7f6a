import { inspect } from 'node:util';
import { z } from 'zod';

/** Settings that more than one kind of store has. */

const hidden = '[encryption keys]';

/** Keys of a store. They show in no log, no JSON and no inspection: only who asks for a key by name gets it. */
export class EncryptionKeys {
  /** 32 bytes; new objects are sealed with it. */
  readonly #key: Buffer;
  /** Keys that older objects may have been sealed with. */
  readonly #earlier: readonly Buffer[];

  constructor(key: Buffer, earlier: readonly Buffer[]) {
    this.#key = key;
    this.#earlier = earlier;
  }

  get key(): Buffer {
    return this.#key;
  }

  get earlier(): readonly Buffer[] {
    return this.#earlier;
  }

  toJSON(): string {
    return hidden;
  }

  [inspect.custom](): string {
    return hidden;
  }
}

const keyShape = z
  .string()
  .regex(/^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/, 'must be 32 bytes, as 64 hex digits or as base64');

export const encryptionSetting = z
  .strictObject({
    key: keyShape.describe(
      'The key of new backups: 32 bytes as 64 hex digits or base64, e.g. `${BACKUP_KEY}`; `openssl rand -hex 32` makes one.',
    ),
    earlier: z
      .array(keyShape)
      .default([])
      .describe('Keys of older backups: still read with, never written with.'),
  })
  .transform(({ key, earlier }) => new EncryptionKeys(bytesOf(key), earlier.map(bytesOf)))
  .optional()
  .describe('Keys for backups that are encrypted (`backup.encrypt: true`).');

export const taskQueueSetting = z
  .string()
  .min(1)
  .optional()
  .describe(
    'Task queue of the workers near this store: stages that own it run there. Without it: that of the job.',
  );

function bytesOf(text: string): Buffer {
  return Buffer.from(text, text.length === 64 ? 'hex' : 'base64');
}
