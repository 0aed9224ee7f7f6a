/** What the decisions here need to know of a table; a TableDefinition of stores/spi/tables.ts fits as it is. */

export interface NameFacts {
  readonly schema: string;
  readonly name: string;
}

export interface ColumnFacts {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  readonly generated: boolean;
  readonly identity: 'always' | 'by-default' | null;
  readonly hasDefault?: boolean;
  readonly binarySafe: boolean;
  readonly comparesExactly: boolean;
}

export interface LeafFacts {
  readonly name: NameFacts;
  readonly bounds: readonly string[];
  readonly partitionedBy?: readonly string[];
  readonly bytes: number;
}

export interface HangingFacts {
  readonly referencedBy: readonly string[];
  readonly views: readonly string[];
  readonly publications: readonly string[];
  readonly other: readonly string[];
}

export interface TableFacts {
  readonly name: NameFacts;
  readonly shape: 'plain' | 'partitioned' | 'inherited';
  readonly columns: readonly ColumnFacts[];
  readonly key: readonly string[] | null;
  readonly leaves: readonly LeafFacts[];
  readonly dialect: string;
  readonly hanging: HangingFacts;
}

/** A name for messages. */
export function shown(name: NameFacts): string {
  return `${name.schema}.${name.name}`;
}

/** Whether two servers surely put values of this column into the same order: no collation, no list of labels. */
export function ordersAlike(column: ColumnFacts | undefined): boolean {
  if (column === undefined) return false;
  return (
    column.comparesExactly ||
    (!column.type.endsWith(']') &&
      /^(numeric|real$|double precision$|inet$|cidr$|macaddr8?$|interval|bit)/.test(column.type))
  );
}
