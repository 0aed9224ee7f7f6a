import { Readable } from 'node:stream';
import { z, type ZodType } from 'zod';
import type { Compression } from '../../../definitions/contracts/job.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { decode } from '../codec/decode.ts';
import { encode } from '../codec/encode.ts';
import { keyIdOf } from '../codec/keys.ts';
import type { FileKey } from '../../spi/files.ts';
import { collect, never, parseJson, type Place } from './place.ts';

/** How the objects of a backup are stored. */
export interface Coding {
  readonly compression: Compression;
  readonly level: number | null;
  readonly encrypt: boolean;
}

export const plainCoding: Coding = { compression: 'none', level: null, encrypt: false };

export const compressionShape = z.enum(['zstd', 'gzip', 'none']);
export const hashShape = z.string().regex(/^[0-9a-f]{64}$/);
export const keyIdShape = z.string().regex(/^[0-9a-f]{16}$/);
export const countShape = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** An object and what its bytes must be. */
export const storedRefShape = z.strictObject({
  key: z.string().min(1).max(900),
  storedBytes: countShape,
  sha256: hashShape,
  compression: compressionShape,
  keyId: keyIdShape.nullable(),
});

export type StoredRef = z.output<typeof storedRefShape>;

/** Lines of one object that are held in memory at once. */
const maxDecodedBytes = 400 * 1024 * 1024;

export interface WrittenRef extends StoredRef {
  readonly rawBytes: number;
}

/** Any stream of bytes through the codec; resolves when it is there, whole and durable. */
export async function writeObject(
  place: Place,
  key: FileKey,
  object: { readonly body: Readable; readonly coding: Coding; readonly signal: AbortSignal },
): Promise<WrittenRef> {
  const { coding } = object;
  const secret = coding.encrypt ? place.key() : null;
  const encoded = encode(object.body, {
    compression: coding.compression,
    ...(coding.level === null ? {} : { level: coding.level }),
    key: secret,
  });
  await place.write(key, encoded.stored, object.signal);
  const { storedBytes, sha256, rawBytes } = await encoded.result;
  const keyId = secret === null ? null : keyIdOf(secret);
  return { key, storedBytes, sha256, rawBytes, compression: coding.compression, keyId };
}

/** Without what only the writer wants to know. */
export function refOf({ key, storedBytes, sha256, compression, keyId }: StoredRef): StoredRef {
  return { key, storedBytes, sha256, compression, keyId };
}

/** The raw bytes. What is wrong with them shows before their end, as `artifact.corrupt` with the object's name. */
export async function readObject(place: Place, ref: StoredRef, signal: AbortSignal): Promise<Readable> {
  const name = place.full(ref.key);
  const stored = await place.read(ref.key, signal).catch((error: unknown) => {
    throw missingIsCorrupt(error, name);
  });
  const { compression, storedBytes, sha256, keyId } = ref;
  return decode(stored, { name, compression, storedBytes, sha256, encrypted: keyId }, place.keys());
}

function missingIsCorrupt(error: unknown, name: string): unknown {
  if (!(error instanceof SynclineError) || error.code !== 'files.missing') return error;
  return new SynclineError('artifact.corrupt', `${name}: its manifest names it, and it is not there.`, {
    cause: error,
  });
}

export async function writeLines(
  place: Place,
  key: FileKey,
  lines: { readonly values: Iterable<unknown>; readonly coding: Coding },
): Promise<StoredRef> {
  const text = function* (): Generator<Buffer> {
    for (const value of lines.values) yield Buffer.from(`${JSON.stringify(value)}\n`);
  };
  const body = Readable.from(text(), { objectMode: false });
  return refOf(await writeObject(place, key, { body, coding: lines.coding, signal: never }));
}

export async function readLines<T>(place: Place, ref: StoredRef, shape: ZodType<T>): Promise<T[]> {
  const name = place.full(ref.key);
  const content = await collect(await readObject(place, ref, never), maxDecodedBytes, name);
  const values: T[] = [];
  for (let from = 0; from < content.length;) {
    const end = content.indexOf(0x0a, from);
    const line = content.toString('utf8', from, end < 0 ? content.length : end);
    values.push(parseJson(line, { shape, name }));
    from = end < 0 ? content.length : end + 1;
  }
  return values;
}
