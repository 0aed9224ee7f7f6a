import type { Route } from './route.ts';

/** Tables in which unique values moved: rows are replaced at once there, for so many batches. */
const rememberedBatches = 100;

/** Whose unique values have moved between rows lately. */
export class MovedValues {
  private readonly left = new Map<string, number>();

  /** By the name that errors call it. */
  note(table: string): void {
    this.left.set(table, rememberedBatches);
  }

  has({ target }: Route): boolean {
    const left = this.left.get(target.name);
    if (left === undefined) return false;
    if (left === 0) this.left.delete(target.name);
    else this.left.set(target.name, left - 1);
    return true;
  }
}
