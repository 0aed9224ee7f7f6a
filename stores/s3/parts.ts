const mebibyte = 1024 * 1024;
const mostParts = 10_000;

/** At least this much a part; S3 itself wants 5 MiB. */
const leastBytes = 8 * mebibyte;
/** A body of unknown size: its later parts are bigger, so that 300 GB fit. */
const laterBytes = 64 * mebibyte;
const earlyParts = 5_000;

/** Size of a part, by its number from 1: 10,000 parts must hold the object. */
export function partBytes(part: number, objectBytes: number | undefined): number {
  if (objectBytes === undefined) return part <= earlyParts ? leastBytes : laterBytes;
  const needed = Math.ceil(objectBytes / mostParts / mebibyte) * mebibyte;
  return Math.max(leastBytes, needed);
}

export interface Part {
  /** From 1. */
  readonly number: number;
  readonly content: Buffer;
  readonly last: boolean;
}

/** Cuts a body into parts; an empty body is one empty part. At most one part is held back. */
export async function* cutParts(
  pieces: AsyncIterable<Buffer>,
  objectBytes: number | undefined,
): AsyncGenerator<Part> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let number = 1;
  const take = (): Part => {
    const part = { number, content: Buffer.concat(held, heldBytes), last: false };
    number += 1;
    held = [];
    heldBytes = 0;
    return part;
  };
  for await (const piece of pieces) {
    for (let rest = piece; rest.length > 0;) {
      // A full part goes only when more follows: so the last one is known to be the last.
      if (heldBytes === partBytes(number, objectBytes)) yield take();
      const fitting = rest.subarray(0, partBytes(number, objectBytes) - heldBytes);
      held.push(fitting);
      heldBytes += fitting.length;
      rest = rest.subarray(fitting.length);
    }
  }
  yield { ...take(), last: true };
}
