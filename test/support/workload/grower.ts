import { setTimeout as delay } from 'node:timers/promises';
import { queryOnce } from '../../e2e/lab/database.ts';
import { eventually } from '../eventually.ts';
import { firstSlots, partitionOf } from './tables.ts';

export interface GrowthPlan {
  /** One entry a partition, in order. */
  readonly partitions: readonly PlannedPartition[];
}

export interface PlannedPartition {
  readonly afterMs: number;
  /** `created`: empty, then written to in the same transaction. `attached`: with rows in it, its columns in another order. */
  readonly how: 'created' | 'attached';
  readonly rows: number;
}

/** Makes the partitions of a plan one after the other; those that the signal leaves out are never there. */
export async function grow(url: string, plan: GrowthPlan, signal: AbortSignal): Promise<number> {
  let made = 0;
  for (const [index, partition] of plan.partitions.entries()) {
    await delay(partition.afterMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    await make(url, firstSlots + index, partition);
    made += 1;
  }
  return made;
}

/** A server that is away, or somebody who holds the table, is waited for. */
async function make(url: string, slot: number, partition: PlannedPartition): Promise<void> {
  const text = `BEGIN; SET lab.writer = 0; ${partition.how === 'created' ? created(slot, partition) : attached(slot, partition)} COMMIT`;
  await eventually(
    async () => {
      const [known] = await queryOnce<{ name: string | null }>(
        url,
        `SELECT to_regclass('lab.growing_${slot}')::text AS name`,
      );
      if ((known?.name ?? null) === null) await queryOnce(url, text);
      return true;
    },
    { everyMs: 200 },
  );
}

function created(slot: number, { rows }: PlannedPartition): string {
  return `${partitionOf(slot)}
    SELECT labfn.watch_leaf('lab.growing', 'lab.growing_${slot}');
    INSERT INTO lab.growing SELECT ${slot}, i, 'first' FROM generate_series(1, ${rows}) AS i;
    UPDATE lab.growing SET note = 'second' WHERE slot = ${slot} AND id % 3 = 0;`;
}

function attached(slot: number, { rows }: PlannedPartition): string {
  return `CREATE TABLE lab.growing_${slot} (note text, id int NOT NULL, gone int, slot int NOT NULL, PRIMARY KEY (slot, id));
    ALTER TABLE lab.growing_${slot} DROP gone;
    INSERT INTO lab.growing_${slot} SELECT 'before', i, ${slot} FROM generate_series(1, ${rows}) AS i;
    ALTER TABLE lab.growing ATTACH PARTITION lab.growing_${slot} FOR VALUES FROM (${slot}) TO (${slot + 1});
    SELECT labfn.watch_leaf('lab.growing', 'lab.growing_${slot}'), labfn.leaf('lab.growing', 'lab.growing_${slot}'::regclass, 1);
    UPDATE lab.growing SET note = 'after' WHERE slot = ${slot} AND id % 5 = 0;`;
}
