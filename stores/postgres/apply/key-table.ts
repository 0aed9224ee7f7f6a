/**
 * Values by the bytes of a key, wherever these lie. An open table of hashes: a Map would need a string of each key, which
 * costs more than all the rest of a fold.
 */
export class KeyTable<T> {
  private slots = new Int32Array(64).fill(-1);
  private hashes = new Int32Array(32);
  /** Where keys are, in arrays of numbers: an object for each would be a seventh of what a fold holds. */
  private readonly buffers: Buffer[] = [];
  private starts = new Int32Array(32);
  private ends = new Int32Array(32);
  private readonly kept: T[] = [];
  private slot = 0;
  private hash = 0;

  /** In the order in which they were added. */
  get values(): readonly T[] {
    return this.kept;
  }

  /** The value of a key; `add` puts one where there is none. */
  find(key: KeyBytes): T | undefined {
    const { slots, hashes } = this;
    const mask = slots.length - 1;
    const hash = hashOf(key);
    let slot = hash & mask;
    for (;;) {
      const index = slots[slot] ?? -1;
      if (index < 0) break;
      if (hashes[index] === hash && this.isAt(index, key)) return this.kept[index];
      slot = (slot + 1) & mask;
    }
    this.slot = slot;
    this.hash = hash;
    return undefined;
  }

  /** For the key that `find` has just not found. */
  add(key: KeyBytes, value: T): void {
    const index = this.kept.length;
    this.kept.push(value);
    this.buffers.push(key.bytes);
    this.starts[index] = key.from;
    this.ends[index] = key.to;
    this.slots[this.slot] = index;
    this.hashes[index] = this.hash;
    if (this.kept.length * 2 === this.slots.length) this.grow();
  }

  private isAt(index: number, key: KeyBytes): boolean {
    const bytes = this.buffers[index];
    const from = this.starts[index] ?? 0;
    const length = (this.ends[index] ?? 0) - from;
    if (bytes === undefined || length !== key.to - key.from) return false;
    for (let at = 0; at < length; at += 1) if (bytes[from + at] !== key.bytes[key.from + at]) return false;
    return true;
  }

  private grow(): void {
    const size = this.slots.length * 4;
    this.hashes = grown(this.hashes, size / 2);
    this.starts = grown(this.starts, size / 2);
    this.ends = grown(this.ends, size / 2);
    const slots = new Int32Array(size).fill(-1);
    const mask = size - 1;
    for (let index = 0; index < this.kept.length; index += 1) {
      let slot = (this.hashes[index] ?? 0) & mask;
      while ((slots[slot] ?? -1) >= 0) slot = (slot + 1) & mask;
      slots[slot] = index;
    }
    this.slots = slots;
  }
}

function grown(numbers: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(size);
  larger.set(numbers);
  return larger;
}

/** Where a key is: `bytes[from, to)`. */
export interface KeyBytes {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

/** FNV-1a with a last stir: the same for ever, since lanes are chosen by it. */
export function hashOf({ bytes, from, to }: KeyBytes): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash ^ (hash >>> 15);
}

export function areEqual(one: KeyBytes, other: KeyBytes): boolean {
  if (one.to - one.from !== other.to - other.from) return false;
  for (let a = one.from, b = other.from; a < one.to; a += 1, b += 1)
    if (one.bytes[a] !== other.bytes[b]) return false;
  return true;
}
