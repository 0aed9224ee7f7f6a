import type { LoadRef, PlanTotals } from '../../definitions/contracts/copy.ts';
import type { PreparedLinkLoad, PrepareLinkLoadInput } from '../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import { type DescribedTable, tablePlanOf } from '../copy/describe-job.ts';
import { createMissing, refuseOn, warningsOf } from '../copy/prepare-copy.ts';
import { unitsOf } from '../copy/units.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { describeLink, loadRequestOf } from './describe-link.ts';
import { chunksOf, type Link, linkOf } from './link.ts';

const barrierDeadlineMs = 10 * 60_000;

/**
 * Plans a load of a link: all its tables, what has joined them, or chunks again. Before a plan is written the log carries the
 * tables and a barrier has passed, so that everything that the log may have missed, or that was followed before, is visible
 * to the snapshots to come. From the plan on, changes of its chunks wait in the spool until they are loaded.
 */
export async function prepareLinkLoad(
  dependencies: ActivityDependencies,
  input: PrepareLinkLoadInput,
): Promise<PreparedLinkLoad> {
  const link = linkOf(dependencies.stores, input);
  const ref = loadRefOf(link, input.load);
  return await withHeartbeat(
    () => ({ target: input.target, doing: 'planning', load: input.load }),
    async (signal) => {
      const planned = await link.ledger.plans.read(ref);
      if (planned !== null) {
        const { unitsDone } = await link.ledger.totals(ref);
        return { ref: planned.ref, plan: planned.totals, warnings: [], alreadyDone: unitsDone };
      }
      const found = await describeLink(dependencies, link);
      refuseOn(found.findings);
      const wanted = await wantedLeaves(link, found.tables, input);
      if (wanted.size === 0) return null;
      const { address } = link;
      await link.log.publish({
        ...{ address, tables: found.published, deadlineMs: barrierDeadlineMs, signal },
        waiting: () => undefined,
      });
      const ready = await createMissing(dependencies, loadRequestOf(link), found.described);
      const uncut = new Set(found.tables.filter(({ decision }) => !decision.slices).map(nameOf));
      const tables = ready.tables.map((table) => (uncut.has(nameOf(table)) ? asOne(table) : table));
      const chosen = tables.map((table) => withLeaves(table, wanted));
      const plan = await writeLinkPlan(dependencies, link, {
        load: input.load,
        tables: chosen.filter(({ definition }) => definition.leaves.length > 0),
      });
      return { ref, plan, warnings: warningsOf(found.findings), alreadyDone: 0 };
    },
  );
}

export function loadRefOf({ input }: Link, load: string): LoadRef {
  const { job, target, run } = input;
  return { job: job.name, load, run, sourceStore: job.source.store, targetStore: target };
}

interface LinkPlan {
  readonly load: string;
  readonly tables: readonly DescribedTable[];
}

export async function writeLinkPlan(
  { stores }: ActivityDependencies,
  link: Link,
  { load, tables }: LinkPlan,
): Promise<PlanTotals> {
  const source = requireCapability(stores.get(link.loadJob.source.store), 'chunkSource');
  const plans = tables.map((table, index) => tablePlanOf(table, index + 1));
  return await link.ledger.plans.write(loadRefOf(link, load), plans, unitsOf(source, tables));
}

/** Leaves by name: those asked for, or those that no load of this generation holds. */
async function wantedLeaves(
  link: Link,
  tables: readonly DescribedTable[],
  { only }: PrepareLinkLoadInput,
): Promise<ReadonlySet<string>> {
  const all = tables.flatMap((table) =>
    table.definition.leaves.map((leaf) => ({ table: nameOf(table), leaf: displayName(leaf.name) })),
  );
  if (only === null) {
    const held = new Set((await chunksOf(link)).map(({ chunk }) => chunk));
    return new Set(all.map(({ leaf }) => leaf).filter((leaf) => !held.has(leaf)));
  }
  const unknown = only.find((name) => !all.some(({ table, leaf }) => table === name || leaf === name));
  if (unknown !== undefined)
    throw new SynclineError('link.unknownTable', `Job ${link.ref.job} has no table or partition ${unknown}.`);
  return new Set(
    all.filter(({ table, leaf }) => only.includes(table) || only.includes(leaf)).map(({ leaf }) => leaf),
  );
}

function nameOf({ definition }: DescribedTable): string {
  return displayName(definition.name);
}

function asOne(table: DescribedTable): DescribedTable {
  return { ...table, decision: { ...table.decision, slices: false } };
}

function withLeaves(table: DescribedTable, wanted: ReadonlySet<string>): DescribedTable {
  const { definition } = table;
  const leaves = definition.leaves.filter((leaf) => wanted.has(displayName(leaf.name)));
  return { ...table, definition: { ...definition, leaves } };
}
