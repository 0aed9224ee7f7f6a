import type { Followed, LinkProgress } from '../../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import { backoffMs } from '../../../planning/retry-budget.ts';
import type { LogPosition, RetainedLog } from '../../../stores/spi/log.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import { displayName } from '../../../stores/spi/tables.ts';
import { expectRetained } from '../link.ts';
import type { FollowParts } from './follow-loop.ts';
import { progressOf } from './progress.ts';
import { isOverdrawn, overdrawn } from './retention.ts';
import { admitted } from './routes.ts';

/** How often the ledger is asked what has been loaded: while something is being loaded, and otherwise. */
const loadingRefreshMs = 500;
const quietRefreshMs = 10_000;
const retainedEveryMs = 3_000;
/** How often the source is asked for tables and partitions that match the job and are in no load. */
const discoverEveryMs = 15_000;
const unknownAfterMs = 3_000;

type Why = Followed['why'];

/** What is looked after between two batches: loads that ended, the spool, tables that fail, the source's disk, new tables. */
export class Chores {
  retained: RetainedLog | null = null;
  private readonly parts: FollowParts;
  private readonly progress: () => LinkProgress;
  private readonly begunAtMs = Date.now();
  private readonly endAtMs: number;
  private refreshedAtMs = 0;
  private retainedAtMs = 0;
  private discoveredAtMs = Date.now();
  private trouble = false;
  /** A cut is under way: nothing leaves the spool. */
  held = false;
  /** More waits in the spool and may leave it: whoever has nothing else to do goes on with that. */
  hasMore = false;
  private goal: LogPosition | null = null;
  private readonly retryAtMs = new Map<string, number>();

  constructor(parts: FollowParts, progress: () => LinkProgress) {
    this.parts = parts;
    this.progress = progress;
    this.endAtMs = Date.now() + parts.input.forMs;
  }

  noteTrouble(): void {
    this.trouble = true;
  }

  /** Why to stop, or null. Call at a commit boundary only. */
  async due(): Promise<Why | null> {
    const now = Date.now();
    const { routes, input } = this.parts;
    const refreshMs = routes.allLoaded ? quietRefreshMs : loadingRefreshMs;
    if (now - this.refreshedAtMs > refreshMs) await this.refresh();
    await this.drainSpool();
    await this.retryFailing();
    if (now - this.retainedAtMs > retainedEveryMs) await this.lookAtSource();
    if (this.trouble) return 'trouble';
    if (await this.becomesConsistent()) return 'consistent';
    const plans = input.planning === true;
    if (!plans && (this.hasUnknownLeaves() || (await this.hasNewTables()))) return 'tables';
    if (input.drain === true && this.isDrained()) return 'drained';
    return now >= this.endAtMs ? 'due' : null;
  }

  /** The table waits in the spool from now on; that is written before anything else is applied. */
  async holdTable(table: string, error: SynclineError): Promise<void> {
    const { link } = this.parts;
    const before = (await link.applied.tables(link.ref)).find((one) => one.table === table);
    const attempts = (before?.attempts ?? 0) + 1;
    const { code, message } = error;
    await link.applied.setTable(link.ref, { table, state: 'failing', code, message, attempts });
    this.retryAtMs.set(table, Date.now() + backoffMs(attempts, link.input.job.onFailure));
    this.trouble = true;
    await this.refresh();
  }

  private async refresh(): Promise<void> {
    await this.parts.routes.refresh();
    this.refreshedAtMs = Date.now();
  }

  /** One portion at a time, so that others are not held up by a chunk of which much waits. */
  private async drainSpool(): Promise<void> {
    const { writer, routes } = this.parts;
    const { draining } = routes;
    this.hasMore = false;
    if (this.held || draining.length === 0) return;
    const empty = writer.state.totals.spooledChanges === 0;
    this.hasMore = !empty && (await this.drain(draining)).more;
    if (!this.hasMore) routes.settle(draining);
  }

  private async drain(leaves: readonly string[]): Promise<{ readonly more: boolean }> {
    const { writer, routes, input } = this.parts;
    if (leaves.length === 0) return { more: false };
    return await writer.drain({
      leaves,
      limit: input.job.log.batchChanges,
      leafOf: (relation) => routes.leafOf(relation),
      admit: (change) => admitted(change, routes.of(change.relation)),
    });
  }

  /** A failing table is tried again by what waits of it; the first change that is refused says whether it is well. */
  private async retryFailing(): Promise<void> {
    const { routes, link, writer } = this.parts;
    for (const { table, state, attempts } of routes.special) {
      if (state !== 'failing') continue;
      const due =
        this.retryAtMs.get(table) ?? Date.now() + backoffMs(Math.max(1, attempts), link.input.job.onFailure);
      this.retryAtMs.set(table, due);
      if (Date.now() < due) continue;
      try {
        while ((await this.drain(routes.chunksOfTable(table))).more) this.parts.signal.throwIfAborted();
        await link.applied.setTable(link.ref, { table, state: 'live' });
        this.retryAtMs.delete(table);
        this.trouble = true;
        await this.refresh();
      } catch (error) {
        await writer.rollback();
        if (!(error instanceof SynclineError) || error.retry === 'automatic') throw error;
        await this.holdTable(table, error);
        this.trouble = false;
      }
    }
  }

  private async lookAtSource(): Promise<void> {
    const { link, dependencies, input } = this.parts;
    const retained = await expectRetained(link);
    this.retained = retained;
    this.retainedAtMs = Date.now();
    this.goal ??= retained.end;
    const progress = this.progress();
    const { lagMs, lagBytes, retainedBytes, spooledChanges, deadTransactions, conflicts } = progress;
    const measured = { lagMs, lagBytes, retainedBytes, spooledChanges, deadTransactions, conflicts };
    dependencies.metrics.linkState(link.ref, measured);
    if (!isOverdrawn(input.job, progress) || !(await this.isStillOverdrawn(retained))) return;
    await link.log.end(link.address);
    throw overdrawn(input.job);
  }

  /** By the ledger: what this writer remembers is old where another has taken the link, and the slot is that one's then. */
  private async isStillOverdrawn(retained: RetainedLog): Promise<boolean> {
    const { link, writer, input } = this.parts;
    const state = await link.applied.read(link.ref);
    if (state === null || state.generation !== writer.state.generation) return false;
    return isOverdrawn(input.job, progressOf({ state, retained, special: [] }));
  }

  /** Every chunk is there, the log is past every snapshot, and nothing waits: from here on it is one instant of the source. */
  private async becomesConsistent(): Promise<boolean> {
    const { routes, writer } = this.parts;
    const { consistentAt, position, totals } = writer.state;
    if (consistentAt !== null || totals.spooledChanges > 0) return false;
    if (!routes.allLoaded || position < routes.consistentFrom) return false;
    await writer.markConsistent(position);
    await writer.commit(position, { record: null, beforeCommit: () => Promise.resolve() });
    return true;
  }

  /** Their changes are safe in the spool; whoever was told a moment ago is at it. */
  private hasUnknownLeaves(): boolean {
    return this.parts.routes.unknown.size > 0 && Date.now() - this.begunAtMs > unknownAfterMs;
  }

  private async hasNewTables(): Promise<boolean> {
    const { link, routes } = this.parts;
    if (Date.now() - this.discoveredAtMs < discoverEveryMs || writerIsBehind(this.progress())) return false;
    this.discoveredAtMs = Date.now();
    const reader = requireCapability(link.source, 'tableReader');
    const { tables } = await reader.describe(link.loadJob.source.tables);
    return tables.some(({ definition }) =>
      definition.leaves.some((leaf) => !routes.holds(displayName(leaf.name))),
    );
  }

  private isDrained(): boolean {
    const { writer } = this.parts;
    const { position, totals } = writer.state;
    return this.goal !== null && position >= this.goal && totals.spooledChanges === 0;
  }
}

const farBehindBytes = 64_000_000;

/** Looking for new tables can wait while there is other work. */
function writerIsBehind({ lagBytes }: LinkProgress): boolean {
  return (lagBytes ?? 0) > farBehindBytes;
}
