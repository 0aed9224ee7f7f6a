import { SynclineError } from '../../../definitions/errors.ts';
import type { LoadedChunk } from '../../../stores/spi/load-ledger.ts';
import type { LogChange, LogRelation } from '../../../stores/spi/log.ts';
import type { AppliedLeaf, LinkTable, SpoolReason } from '../../../stores/spi/log-target.ts';
import { displayName } from '../../../stores/spi/tables.ts';
import { loadsOf } from '../../../planning/link-load.ts';
import { chunksOf, type Link } from '../link.ts';
import { filterOf, type SnapshotFilter } from './snapshot-filter.ts';

/** Where the changes of one leaf go. */
export interface Route {
  readonly leaf: AppliedLeaf;
  /** Why they wait; null: they are applied, filtered by what the chunk was loaded under. */
  readonly waits: SpoolReason | null;
  /** The table was taken out of the job. */
  readonly removed: boolean;
  readonly filter: SnapshotFilter;
}

/** What every leaf of the link is waiting for, as the ledger has it; looked up again when something may have changed. */
export class Routes {
  private readonly link: Link;
  private chunks: ReadonlyMap<string, LoadedChunk> = new Map();
  private tables: ReadonlyMap<string, LinkTable> = new Map();
  private routes = new Map<LogRelation, Route>();
  /** Open chunks of which nothing waits in the spool any more. */
  private readonly settled = new Set<string>();
  /** Leaves of the log that no load holds. */
  readonly unknown = new Set<string>();

  constructor(link: Link) {
    this.link = link;
  }

  async refresh(): Promise<void> {
    const [chunks, tables] = await Promise.all([
      chunksOf(this.link),
      this.link.applied.tables(this.link.ref),
    ]);
    this.chunks = new Map(chunks.map((chunk) => [chunk.chunk, this.assumed(chunk)]));
    this.tables = new Map(tables.map((table) => [table.table, table]));
    this.routes = new Map();
    for (const leaf of this.unknown) if (this.chunks.has(leaf)) this.unknown.delete(leaf);
    const open = new Set(this.open);
    for (const chunk of this.settled) if (!open.has(chunk)) this.settled.delete(chunk);
  }

  /** Tables that are not simply followed. */
  get special(): readonly LinkTable[] {
    return [...this.tables.values()];
  }

  of(relation: LogRelation): Route {
    const known = this.routes.get(relation);
    if (known !== undefined) return known;
    const route = this.make(relation);
    this.routes.set(relation, route);
    return route;
  }

  /** Open chunks whose changes still wait: what lies in the spool comes first, so what follows joins it there. */
  get draining(): readonly string[] {
    return this.open.filter((chunk) => !this.settled.has(chunk));
  }

  /** The spool holds nothing of these. */
  settle(chunks: readonly string[]): void {
    for (const chunk of chunks) this.settled.add(chunk);
    this.routes = new Map();
  }

  /** Something of every chunk may lie in the spool. */
  unsettle(): void {
    this.settled.clear();
    this.routes = new Map();
  }

  /** Chunks that are followed: loaded, and not of a table that is held. */
  get open(): readonly string[] {
    return [...this.chunks.values()]
      .filter((chunk) => chunk.complete && !this.tables.has(tableOf(chunk)))
      .map(({ chunk }) => chunk);
  }

  /** Whether every chunk of every load is on the target. */
  get allLoaded(): boolean {
    const chunks = [...this.chunks.values()];
    return chunks.length > 0 && chunks.every(({ complete }) => complete) && this.unknown.size === 0;
  }

  /** The log is past every chunk's snapshot from here on. */
  get consistentFrom(): string {
    const positions = [...this.chunks.values()].map(({ slices }) => filterOf(this.link.log, slices).until);
    return positions.reduce((latest, position) => (position > latest ? position : latest), '');
  }

  holds(leaf: string): boolean {
    return this.chunks.has(leaf);
  }

  /** Where changes go that have waited. Throws `link.unknownTable`. */
  leafOf(relation: LogRelation): AppliedLeaf {
    const name = displayName(relation.name);
    if (this.chunks.has(name)) return this.of(relation).leaf;
    throw new SynclineError('link.unknownTable', `The link does not hold ${name} any more.`);
  }

  chunksOfTable(table: string): readonly string[] {
    return [...this.chunks.values()].filter((chunk) => tableOf(chunk) === table).map(({ chunk }) => chunk);
  }

  /** The job's table of a table or leaf of the target, as an error names it. */
  tableOf(target: string | undefined): string | null {
    const found = [...this.chunks.values()].find(
      ({ targetLeaf, plan }) => displayName(targetLeaf) === target || displayName(plan.target) === target,
    );
    return found === undefined ? null : tableOf(found);
  }

  get binary(): boolean {
    return [...this.chunks.values()].every(({ plan }) => plan.format === 'binary');
  }

  /** Without a checkpoint the tables were equal when the log began: everything in the log is news. */
  private assumed(chunk: LoadedChunk): LoadedChunk {
    const { job, generation } = this.link.input;
    if (job.load.checkpoint || chunk.load !== loadsOf(generation)) return chunk;
    return { ...chunk, complete: true, slices: [{ range: null, mark: null }] };
  }

  private whyWaiting({ complete, chunk }: LoadedChunk, held: SpoolReason | null): SpoolReason | null {
    if (!complete) return 'load';
    return held ?? (this.settled.has(chunk) ? null : 'load');
  }

  private make(relation: LogRelation): Route {
    const name = displayName(relation.name);
    const chunk = this.chunks.get(name);
    if (chunk === undefined) {
      this.unknown.add(name);
      return {
        leaf: unplanned(relation),
        waits: 'load',
        removed: false,
        filter: filterOf(this.link.log, []),
      };
    }
    const table = this.tables.get(tableOf(chunk));
    const state = table?.state === 'removed' ? null : (table?.state ?? null);
    const removed = table?.state === 'removed';
    return {
      leaf: appliedLeaf(relation, chunk),
      waits: removed ? null : this.whyWaiting(chunk, state),
      removed,
      filter: filterOf(this.link.log, chunk.slices),
    };
  }
}

/** What of a change is to be applied, by the snapshots that its chunk was loaded under. */
export function admitted(change: LogChange, { filter }: Route): readonly LogChange[] {
  return change.kind === 'truncate' ? filter.truncate(change) : filter.rows(change);
}

function tableOf({ plan }: LoadedChunk): string {
  return displayName(plan.source);
}

function plannedLeaf(chunk: LoadedChunk): AppliedLeaf {
  const { plan, sourceLeaf, targetLeaf } = chunk;
  return {
    source: sourceLeaf,
    table: tableOf(chunk),
    target: targetLeaf,
    columns: plan.columns,
    key: plan.key,
  };
}

function appliedLeaf(relation: LogRelation, chunk: LoadedChunk): AppliedLeaf {
  return { ...plannedLeaf(chunk), key: keyOf(relation, chunk.plan.key) };
}

/** By the replica identity where there is one: it is all that the log says of a row that was deleted. */
function keyOf(relation: LogRelation, planned: readonly string[] | null): readonly string[] | null {
  if (relation.identity !== 'key') return planned;
  return relation.columns.filter(({ isKey }) => isKey).map(({ name }) => name);
}

/** Nothing is applied there before a load has said where. */
function unplanned(relation: LogRelation): AppliedLeaf {
  const columns = relation.columns.map(({ name }) => name);
  return {
    source: relation.name,
    table: displayName(relation.name),
    target: relation.name,
    columns,
    key: null,
  };
}
