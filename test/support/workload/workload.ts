import { queryOnce } from '../../e2e/lab/database.ts';
import { grow, type GrowthPlan } from './grower.ts';
import { contentOf, definitionOf, type WorkloadShape } from './tables.ts';
import { tallyOf } from './tally.ts';
import { transactionsOf } from './transactions.ts';
import { Writer, type Written } from './writer.ts';

/** Everything that a seed decides about what happens on the source. Plain data. */
export interface WorkloadPlan {
  readonly seed: number;
  readonly shape: WorkloadShape;
  readonly paceMs: number;
  /** Writers whose commits do not wait for the disk. */
  readonly asynchronous: readonly number[];
  readonly growth: GrowthPlan;
}

export interface Workload {
  /** Rejects when a writer meets what it should not. */
  readonly running: Promise<void>;
  /** Lets every writer end its transaction. Nothing is written afterwards. */
  stop(): Promise<Written>;
}

/** Tables, tally and first rows in an empty database. */
export async function prepareSource(url: string, shape: WorkloadShape): Promise<void> {
  await queryOnce(url, definitionOf(shape));
  await queryOnce(url, tallyOf(shape));
  await queryOnce(url, contentOf(shape));
}

export function startWorkload(url: string, plan: WorkloadPlan): Workload {
  const writers = Array.from({ length: plan.shape.writers }, (_, index) => {
    const writer = index + 1;
    const synchronous = !plan.asynchronous.includes(writer);
    const transactions = transactionsOf(plan.seed, writer);
    return new Writer({ url, writer, transactions, synchronous, paceMs: plan.paceMs });
  });
  const stopping = new AbortController();
  const growing = grow(url, plan.growth, stopping.signal);
  const running = Promise.all([...writers.map((writer) => writer.run()), growing]).then(() => undefined);
  running.catch(() => undefined);
  return {
    running,
    async stop() {
      stopping.abort();
      for (const writer of writers) writer.stop();
      await running;
      return sumOf(writers.map(({ written }) => written));
    },
  };
}

function sumOf(all: readonly Written[]): Written {
  const sum: Written = { committed: 0, rolledBack: 0, refused: 0, unknown: 0 };
  for (const one of all) for (const key of Object.keys(sum) as (keyof Written)[]) sum[key] += one[key];
  return sum;
}
