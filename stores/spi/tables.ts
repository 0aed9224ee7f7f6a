import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { TableSelection } from '../../definitions/contracts/job.ts';

/** Unquoted, exact names as the catalogue has them. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

const plainName = /^[a-z_][a-z0-9_$]*$/;

/**
 * For people, and the name of a chunk everywhere (ledger, status, UI): `schema.name`, a part quoted only where it would
 * not be read back otherwise.
 */
export function displayName(name: TableName): string {
  return [name.schema, name.name]
    .map((part) => (plainName.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join('.');
}

export interface ColumnDefinition {
  readonly name: string;
  /** Type as the store writes it, with modifiers: `numeric(10,2)`, `sales.mood[]`. */
  readonly type: string;
  readonly notNull: boolean;
  /** Computed by the server: never written. */
  readonly generated: boolean;
  readonly identity: 'always' | 'by-default' | null;
  /** Whether the server fills the column where no value is given. Absent: not known. */
  readonly hasDefault?: boolean;
  /** Whether the type, down to its elements and fields, travels faithfully in the binary format. */
  readonly binarySafe: boolean;
  /** Whether the type compares outside the server exactly as inside (integers, uuid, timestamps, bytea, C text). */
  readonly comparesExactly: boolean;
}

/** A table that holds rows: a leaf partition, a plain table, or one member of an inheritance tree. */
export interface LeafDefinition {
  readonly name: TableName;
  /** Bound of every level from the root down, normalised text (`FOR VALUES …`, `DEFAULT`); empty for a plain table. */
  readonly bounds: readonly string[];
  /** Partition key of the table above at the same levels (`RANGE (ts)`): equal bounds mean little without. */
  readonly partitionedBy?: readonly string[];
  readonly bytes: number;
  /** Estimate of the catalogue; -1 when never analysed. */
  readonly rows: number;
}

export type TableShape = 'plain' | 'partitioned' | 'inherited';

export interface TableDefinition {
  readonly name: TableName;
  readonly shape: TableShape;
  readonly columns: readonly ColumnDefinition[];
  /** Primary key, else the first unique index over not-null columns without condition; null when none. */
  readonly key: readonly string[] | null;
  /** In a stable order: by bound for partitions, root first for inheritance. */
  readonly leaves: readonly LeafDefinition[];
  /** Version of this description's store, e.g. `postgres 18`. */
  readonly dialect: string;
  /** Tells the running database from every other one, whatever name or address it is reached by. Absent: not known. */
  readonly place?: string;
  /** Has a secondary unique or exclusion constraint (matters for the order of writes). */
  readonly hasSecondaryUnique: boolean;
  /** Properties of the table on the target that decide how it may be replaced; see planning/replace-strategy.ts. */
  readonly hanging: HangingObjects;
}

/** What hangs on a table or its leaves and would be lost, or would forbid, a swap. Names for people. */
export interface HangingObjects {
  /** Foreign keys of other tables that point here. */
  readonly referencedBy: readonly string[];
  readonly views: readonly string[];
  readonly publications: readonly string[];
  /** Leaves that allow no swap for another named reason (e.g. rules, typed tables). */
  readonly other: readonly string[];
}

/** Capability: describes tables. Reads only. */
export interface TableReader {
  /**
   * Expands wildcards (in name order) and describes each table. A pattern that matches nothing, or a column
   * that does not exist, is an `error` finding (`source.tableMissing`, `source.columnMissing`), all at once.
   * A table that is a partition of another selected table is left out; a named partition stands alone.
   */
  describe(selections: readonly TableSelection[]): Promise<DescribedTables>;
  /** The same by exact name; null where there is none. Order as asked. */
  find(names: readonly TableName[]): Promise<readonly (TableDefinition | null)[]>;
  /**
   * Rights, replication role, versions, free connections, row policies: what this side needs to play `role`
   * for these tables. Findings name role, table and missing right.
   */
  preflight(role: 'source' | 'target', names: readonly TableName[]): Promise<readonly PreflightFinding[]>;
}

export interface DescribedTables {
  readonly tables: readonly { readonly selection: TableSelection; readonly definition: TableDefinition }[];
  readonly findings: readonly PreflightFinding[];
}

/** How to build a table elsewhere, in the words of a dialect. Made by the source, run by the target. */
export interface TableScript {
  readonly dialect: string;
  readonly table: TableName;
  /** Types, schemas, sequences, the table, its partitions: before rows. Idempotent statements, in order. */
  readonly before: readonly string[];
  /** Keys, indexes, checks of the root (partitions inherit them): also before rows, so that leaves have their shape. */
  readonly shape: readonly string[];
  /** Foreign keys, comments, sequence values, statistics: after rows. Each may be repeated. */
  readonly after: readonly string[];
  /** What is not rebuilt, one sentence each (triggers, policies, grants, …). */
  readonly notCarried: readonly string[];
  /**
   * What a builder of the same dialect writes the statements from, under whatever name `table` says; opaque to all
   * others. A script with a recipe and no statements at all is to be written first, by whoever runs it.
   */
  readonly recipe?: string;
}

/** Capability: creates tables from the source's catalogue. */
export interface TableBuilder {
  /** Source side: the script that rebuilds `table` under the name `as` (partitions keep or derive their names). */
  script(table: TableDefinition, as: TableName): Promise<TableScript>;
  /** Source side: the script under the table's own name with its recipe, to be kept and run elsewhere under any name. */
  scriptToKeep?(table: TableDefinition): Promise<TableScript>;
  /** Target side: runs `before` and `shape` in one transaction. An existing table or partition is left as it is. */
  create(script: TableScript): Promise<void>;
  /** Target side: runs `after`. Repeating changes nothing. */
  complete(script: TableScript): Promise<void>;
  /** Target side: fresh statistics for the planner. */
  analyze(names: readonly TableName[]): Promise<void>;
}
