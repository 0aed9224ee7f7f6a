import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { SynclineError } from '../../../definitions/errors.ts';
import { corrupt } from './corrupt.ts';
import { keyIdOf, noncePrefixBytes, objectKeyOf, type KeyId, type ObjectKey } from './keys.ts';

/**
 * Authenticated encryption of a stream in segments: the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár,
 * "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (CRYPTO 2015), as age and Tink use it.
 * The number of a segment and whether it is the last are part of its nonce, so that none can be moved, left out,
 * doubled or cut off. The format is in docs/artifact-format.md.
 */

export const segmentBytes = 1024 * 1024;
export const tagBytes = 16;
export const headerBytes = 52;
const magic = Buffer.from('SYNCLINE', 'latin1');
const version = 1;
const segmentShift = 20;
const keyIdAt = 12;
const saltAt = 20;
/** The counter has 32 bits: 4 PiB an object. */
const segmentsAtMost = 2 ** 32;

export async function* sealed(
  pieces: AsyncGenerator<Buffer, void>,
  key: Buffer,
): AsyncGenerator<Buffer, void> {
  const header = newHeader(keyIdOf(key));
  const segments = new Segments(header, key);
  yield header;
  const held = new Gathered();
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      // Only now is it known that the held segment is not the last.
      if (held.bytes === segmentBytes) yield* segments.seal(held.take(segmentBytes), false);
      const part = piece.subarray(from, from + segmentBytes - held.bytes);
      held.add(part);
      from += part.length;
    }
  }
  yield* segments.seal(held.take(held.bytes), true);
}

export interface OpenOptions {
  readonly name: string;
  /** What the manifest says: the header has to say the same. */
  readonly keyId: KeyId;
  readonly keys: readonly Buffer[];
}

/** The reverse of `sealed`. Gives a segment out only after its tag was right. */
export async function* opened(
  pieces: AsyncGenerator<Buffer, void>,
  options: OpenOptions,
): AsyncGenerator<Buffer, void> {
  const key = keyFor(options);
  const held = new Gathered();
  let segments: Segments | null = null;
  for await (const piece of pieces) {
    held.add(piece);
    if (segments === null && held.bytes >= headerBytes)
      segments = new Segments(expectedHeader(held.take(headerBytes), options), key);
    while (segments !== null && held.bytes > segmentBytes + tagBytes)
      yield segments.open(held.take(segmentBytes + tagBytes), false, options.name);
  }
  if (segments === null) throw corrupt(options.name, 'cut off within its header');
  yield segments.open(held.take(held.bytes), true, options.name);
}

/** Throws `artifact.wrongKey` with the id of the key that is needed. */
function keyFor({ name, keyId, keys }: OpenOptions): Buffer {
  const key = keys.find((candidate) => keyIdOf(candidate) === keyId);
  if (key !== undefined) return key;
  throw new SynclineError(
    'artifact.wrongKey',
    `${name} was encrypted with the key ${keyId}, which the store does not have`,
  );
}

function newHeader(keyId: KeyId): Buffer {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  header[8] = version;
  header[9] = segmentShift;
  header.write(keyId, keyIdAt, 'hex');
  randomBytes(headerBytes - saltAt).copy(header, saltAt);
  return header;
}

function expectedHeader(header: Buffer, { name, keyId }: OpenOptions): Buffer {
  const wanted = newHeader(keyId);
  if (header.subarray(0, saltAt).equals(wanted.subarray(0, saltAt))) return header;
  throw corrupt(name, 'its header is not the one that its manifest announces');
}

/** The segments of one object, in their order. */
export class Segments {
  private readonly objectKey: ObjectKey;
  private number: number;

  /** `from`: number of the next segment; other than 0 only to show what happens at the last one. */
  constructor(header: Buffer, key: Buffer, from = 0) {
    this.objectKey = objectKeyOf(key, header);
    this.number = from;
  }

  *seal(plain: Buffer, last: boolean): Generator<Buffer, void> {
    const nonce = this.nextNonce(last);
    if (nonce === null)
      throw new SynclineError('internal.unexpected', 'An object of more than 4 PiB cannot be encrypted');
    const cipher = createCipheriv('aes-256-gcm', this.objectKey.key, nonce, { authTagLength: tagBytes });
    yield cipher.update(plain);
    cipher.final();
    yield cipher.getAuthTag();
  }

  open(segment: Buffer, last: boolean, name: string): Buffer {
    const first = this.number === 0;
    const nonce = this.nextNonce(last);
    if (nonce === null) throw corrupt(name, 'more segments than an object can have');
    const length = segment.length - tagBytes;
    // An empty one is written only for an object without a byte; else two forms would mean the same.
    if (length < 0 || (length === 0 && !first)) throw corrupt(name, 'cut off within a segment');
    const decipher = createDecipheriv('aes-256-gcm', this.objectKey.key, nonce, { authTagLength: tagBytes });
    decipher.setAuthTag(segment.subarray(length));
    const plain = decipher.update(segment.subarray(0, length));
    try {
      decipher.final();
    } catch (cause) {
      throw corrupt(name, 'a segment is not the one that was written there', cause);
    }
    return plain;
  }

  /** Prefix, number (big-endian), 1 for the last segment. Null when the counter would begin anew. */
  private nextNonce(last: boolean): Buffer | null {
    if (this.number >= segmentsAtMost) return null;
    const nonce = Buffer.alloc(noncePrefixBytes + 5);
    this.objectKey.noncePrefix.copy(nonce);
    nonce.writeUInt32BE(this.number, noncePrefixBytes);
    nonce[noncePrefixBytes + 4] = last ? 1 : 0;
    this.number += 1;
    return nonce;
  }
}

/** Pieces by reference, taken out in lengths of the taker's choice. */
class Gathered {
  private pieces: Buffer[] = [];
  bytes = 0;

  add(piece: Buffer): void {
    this.pieces.push(piece);
    this.bytes += piece.length;
  }

  /** At most `bytes` are there to be taken. */
  take(length: number): Buffer {
    const taken: Buffer[] = [];
    let missing = length;
    let whole = 0;
    for (const piece of this.pieces) {
      if (missing === 0) break;
      const part = piece.subarray(0, missing);
      taken.push(part);
      missing -= part.length;
      if (part.length < piece.length) {
        this.pieces[whole] = piece.subarray(part.length);
        break;
      }
      whole += 1;
    }
    this.pieces.splice(0, whole);
    this.bytes -= length;
    const only = taken[0];
    return only !== undefined && taken.length === 1 ? only : Buffer.concat(taken, length);
  }
}
