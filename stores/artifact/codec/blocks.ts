/** Raw bytes compressed at a time. */
export const blockBytes = 1024 * 1024;

/**
 * Cuts a stream into blocks of `blockBytes`, the last one shorter; one empty block for an empty stream.
 *
 * Two buffers take turns, so a block is valid only until the one after the next is asked for: memory stays the same for
 * any length, and the kernel need not hand out a fresh megabyte for each.
 */
export async function* inBlocks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let block: Buffer = Buffer.allocUnsafeSlow(blockBytes);
  let other: Buffer | null = null;
  let filled = 0;
  let any = false;
  for await (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const taken = piece.copy(block, filled, from, from + blockBytes - filled);
      from += taken;
      filled += taken;
      if (filled < blockBytes) continue;
      yield block;
      any = true;
      [block, other] = [other ?? Buffer.allocUnsafeSlow(blockBytes), block];
      filled = 0;
    }
  }
  if (filled > 0 || !any) yield block.subarray(0, filled);
}

/**
 * Does the work of one block while the next one is still arriving, keeping the order. At most two are under way.
 */
export async function* oneAhead(
  blocks: AsyncIterable<Buffer>,
  work: (block: Buffer) => Promise<Buffer>,
): AsyncGenerator<Buffer, void> {
  let before: Promise<Buffer> | null = null;
  for await (const block of blocks) {
    const now = work(block);
    // Should the stream end by another error first, this one is not lost but second.
    now.catch(() => undefined);
    if (before !== null) yield await before;
    before = now;
  }
  if (before !== null) yield await before;
}
