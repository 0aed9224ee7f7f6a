import { blockBytes } from './blocks.ts';

/**
 * Frames of RFC 8878, walked without decompressing: where one ends, and how much can come out of it.
 * The headers of its blocks say both, so a small object cannot ask for gigabytes of memory before its hash is known.
 */

/** A frame of at most `blockBytes` which did not get smaller, with its headers. */
export const frameBytesAtMost = blockBytes + 64 * 1024;
/** Of one frame; zstd 1.5.7 makes 8 to 130 of a megabyte. 32 MiB could come out of them at the very most. */
export const frameBlocksAtMost = 256;
/** Largest window that level 19 uses: what a decoder has to keep. */
const windowBytesAtMost = 8 * 1024 * 1024;
const blockContentAtMost = 128 * 1024;
const magic = 0xfd2fb528;

export type FrameExtent =
  | { readonly state: 'whole'; readonly bytes: number; readonly blocks: number }
  | { readonly state: 'more' }
  | { readonly state: 'wrong'; readonly why: string };

const more: FrameExtent = { state: 'more' };
const wrong = (why: string): FrameExtent => ({ state: 'wrong', why });

/** `bytes` begins with a frame, which may not have arrived in full. */
export function frameExtent(bytes: Buffer): FrameExtent {
  if (bytes.length < 4) return more;
  if (bytes.readUInt32LE(0) !== magic) return wrong('no zstd frame where one should begin');
  const header = headerBytes(bytes);
  if (typeof header !== 'number') return header;
  let at = header;
  let known = 0;
  for (let blocks = 1; blocks <= frameBlocksAtMost; blocks += 1) {
    if (at > frameBytesAtMost) return wrong('a zstd frame is longer than syncline writes them');
    if (bytes.length < at + 3) return more;
    const block = bytes.readUIntLE(at, 3);
    const size = block >>> 3;
    const type = (block >>> 1) & 3;
    if (type === 3 || size > (type === 1 ? blockBytes : blockContentAtMost))
      return wrong('a zstd block of impossible kind or size');
    if (type < 2) known += size;
    if (known > blockBytes) return wrong('more comes out of a zstd frame than syncline puts in');
    at += 3 + (type === 1 ? 1 : size);
    if ((block & 1) === 0) continue;
    if (hasChecksum(bytes)) at += 4;
    return bytes.length < at ? more : { state: 'whole', bytes: at, blocks };
  }
  return wrong('more blocks in a zstd frame than syncline writes');
}

function hasChecksum(bytes: Buffer): boolean {
  return ((bytes[4] ?? 0) & 4) !== 0;
}

/** Length of the frame's header (RFC 8878, 3.1.1.1), or why there is none. */
function headerBytes(bytes: Buffer): number | FrameExtent {
  const descriptor = bytes[4];
  const windowDescriptor = bytes[5];
  if (descriptor === undefined || windowDescriptor === undefined) return more;
  // Bit 3 is reserved; bits 0 and 1 announce a dictionary, which we never use.
  if ((descriptor & 0b1011) !== 0) return wrong('a zstd frame with a header that syncline does not write');
  const single = (descriptor & 0b10_0000) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const at = single ? 5 : 6;
  if (!single && windowBytes(windowDescriptor) > windowBytesAtMost)
    return wrong('a zstd frame asks for too large a window');
  if (bytes.length < at + sizeBytes) return more;
  if (contentBytes(bytes.subarray(at, at + sizeBytes)) > blockBytes)
    return wrong('more comes out of a zstd frame than syncline puts in');
  return at + sizeBytes;
}

function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentBytes(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE(0));
  if (field.length === 0) return 0;
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}
