import type { RowImage } from '../../spi/log.ts';
import { CopyRows, imageRoom, kindText } from './copy-rows.ts';
import { markUnchanged } from './image.ts';
import type { Step } from './message.ts';
import type { Route } from './route.ts';
import { quoteIdent } from '../identifiers.ts';
import type { TargetColumn } from './target-facts.ts';

/**
 * Temporary tables that rows go through when they cannot go into their table directly. They live as long as the
 * session, and one serves all tables with the same types: rows of one use are told apart by their group, a number that
 * is never used again. What earlier groups left is passed over until it is worth a TRUNCATE; emptying at each commit
 * would cost milliseconds (it rebuilds an index).
 *
 * A column whose values come as text is staged as text, and cast on its way on: that is the type's own input function.
 */

/** What is to happen with a staged row. */
export const op = {
  /** The row should be there. */
  delete: 1,
  /** It should not: it came and went within the batch. */
  deleteAbsent: 2,
  update: 3,
  insert: 4,
} as const;

export interface StagedRow {
  readonly op: number;
  readonly image: RowImage;
  /** Only the key of the image counts. */
  readonly keyOnly: boolean;
  readonly hasUnchanged: boolean;
  /** An image with the key of the row that values come from which stay as they are, if that is another row. */
  readonly base: RowImage | null;
  /** Without a key: how many such rows are meant. */
  readonly count?: number;
}

/** Rows in staging, and how statements speak of them under the alias `s`. */
export interface Group {
  readonly route: Route;
  /** Name of the table. */
  readonly table: string;
  /** Which rows of it: `s.g = 7`. */
  readonly mine: string;
  /** Column as it is in staging, by place among the carried ones. */
  readonly raw: readonly string[];
  /** The same as a value of the target's type. */
  readonly value: readonly string[];
  readonly baseValue: readonly string[];
  readonly fromText: readonly boolean[];
  /** Of carried columns: 1 where some row has it unchanged. */
  readonly unchanged: Uint8Array;
  readonly hasBases: boolean;
  /** Columns that only the target has: `o1`, … and `k` where they are known. */
  readonly own: readonly TargetColumn[];
}

/** Rows of earlier groups that a statement may pass over without being slowed down. */
const bearable = 2_000;

interface StageTable {
  readonly name: string;
  /** Rows that are in the table or were. */
  rows: number;
  exists: boolean;
}

export class Stages {
  private readonly tables = new Map<string, StageTable>();
  private made: StageTable[] = [];
  private touched = new Set<StageTable>();
  private nextGroup = 1;

  /** Statements that put the rows into staging. */
  stage(route: Route, kinds: Uint8Array, rows: readonly StagedRow[]): { steps: Step[]; group: Group } {
    const text = carriedKinds(route, kinds);
    const table = this.tableFor(route, text);
    const group = this.groupOf(route, { table: table.name, text, rows });
    const steps: Step[] = [];
    const about = { table: route.target.name };
    if (!table.exists) {
      steps.push({ text: createStatement(table.name, route, text), ...about });
      table.exists = true;
      this.made.push(table);
    } else if (table.rows > bearable) {
      steps.push({ text: `TRUNCATE pg_temp.${table.name}`, ...about });
      table.rows = 0;
    }
    table.rows += rows.length;
    this.touched.add(table);
    const columns = [...fixedNames(route), ...group.raw, ...(group.hasBases ? baseNames(route) : [])];
    steps.push({
      text: `COPY pg_temp.${table.name} (${columns.join(', ')}) FROM STDIN (FORMAT binary)`,
      rows: stagedRows(group, this.nextGroup - 1, rows),
      ...about,
    });
    return { steps, group };
  }

  /** What was staged in bulk is not kept on the target's disk until it is needed again. */
  emptyFull(): Step[] {
    const full = [...this.touched].filter(({ rows }) => rows > bearable);
    for (const table of full) table.rows = 0;
    return full.map(({ name }) => ({ text: `TRUNCATE pg_temp.${name}` }));
  }

  committed(): void {
    this.made = [];
    this.touched.clear();
  }

  /** Tables that were made are gone again, and of the others nobody knows how full they are. */
  rolledBack(): void {
    for (const table of this.made) table.exists = false;
    for (const table of this.touched) table.rows = Number.POSITIVE_INFINITY;
    for (const table of this.made) table.rows = 0;
    this.committed();
  }

  private tableFor(route: Route, text: readonly boolean[]): StageTable {
    const shape = columnTypes(route, text).join(', ');
    const known = this.tables.get(shape);
    if (known !== undefined) return known;
    const table = { name: `syncline_stage_${String(this.tables.size + 1)}`, rows: 0, exists: false };
    this.tables.set(shape, table);
    return table;
  }

  private groupOf(
    route: Route,
    { table, text, rows }: { table: string; text: readonly boolean[]; rows: readonly StagedRow[] },
  ): Group {
    const number = this.nextGroup;
    this.nextGroup += 1;
    const raw = route.columns.map((_, index) => `c${String(index + 1)}`);
    const value = route.columns.map((column, index) =>
      castFrom(`s.${raw[index] ?? ''}`, column, text[index]),
    );
    const keyText = text.filter((_, index) => isKey(route, index));
    return {
      route,
      table: `pg_temp.${table}`,
      mine: `s.g = ${String(number)}`,
      raw,
      value,
      baseValue: route.keyColumns.map((column, index) =>
        castFrom(`s.b${String(index + 1)}`, column, keyText[index]),
      ),
      fromText: text,
      unchanged: unchangedOf(route, rows),
      hasBases: rows.some(({ base }) => base !== null),
      own: route.own,
    };
  }
}

function castFrom(name: string, column: TargetColumn, fromText: boolean | undefined): string {
  return fromText === true ? `CAST(${name} AS ${column.type})` : name;
}

function isKey(route: Route, carriedIndex: number): boolean {
  const column = route.columns[carriedIndex];
  return column !== undefined && route.keyColumns.includes(column);
}

/** Of each carried column: whether its values come as text. */
function carriedKinds(route: Route, kinds: Uint8Array): boolean[] {
  const text: boolean[] = [];
  kinds.forEach((kind, column) => {
    if (route.carried[column] === 1) text.push(kind === kindText);
  });
  return text;
}

const baseNames = (route: Route): string[] => route.keyColumns.map((_, index) => `b${String(index + 1)}`);

const fixedNames = (route: Route): string[] =>
  route.key === null ? ['g', 'op', 'u', 'n'] : ['g', 'op', 'u'];

/** Names of no user, so that tables with equal types can share one. */
function columnTypes(route: Route, text: readonly boolean[]): string[] {
  const types = route.columns.map((column, index) => (text[index] === true ? 'text' : column.stagedAs));
  const keys = types.filter((_, index) => isKey(route, index));
  const own = route.own.map(({ stagedAs }) => stagedAs);
  const named = (letter: string, list: readonly string[]): string[] =>
    list.map((type, index) => `${letter}${String(index + 1)} ${type}`);
  return [
    'g int',
    'op smallint',
    'u bytea',
    ...(route.key === null ? ['n int'] : []),
    ...named('c', types),
    ...named('b', keys),
    ...(own.length > 0 ? ['k boolean'] : []),
    ...named('o', own),
  ];
}

function createStatement(name: string, route: Route, text: readonly boolean[]): string {
  return `CREATE TEMPORARY TABLE IF NOT EXISTS ${name} (${columnTypes(route, text).join(', ')})`;
}

/** Of rows whose unchanged columns are in their own row. */
function unchangedOf(route: Route, rows: readonly StagedRow[]): Uint8Array {
  const marks = new Uint8Array(route.carried.length);
  for (const row of rows) if (row.hasUnchanged) markUnchanged(row.image, marks);
  return marks.filter((_, column) => route.carried[column] === 1);
}

/** Bytes of a row's fixed fields, and more. */
const fixedBytes = 64;

function* stagedRows(group: Group, number: number, rows: readonly StagedRow[]): Generator<Buffer> {
  const { route } = group;
  const { carried, key } = route;
  const nothing = new Uint8Array(carried.length);
  const width = route.columns.length;
  const fields = fixedNames(route).length + width + (group.hasBases ? route.keyColumns.length : 0);
  const out = new CopyRows();
  for (const row of rows) {
    const { image, base } = row;
    const room = imageRoom(image, carried.length) + (base === null ? 0 : imageRoom(base, carried.length));
    out.row(fields, fixedBytes + room + width + 4 * route.keyColumns.length);
    out.fieldInt32(number);
    out.fieldInt16(row.op);
    if (row.hasUnchanged) {
      const marks = new Uint8Array(carried.length);
      markUnchanged(image, marks);
      out.fieldBytes(marks.filter((_, column) => carried[column] === 1));
    } else {
      out.nulls(1);
    }
    if (key === null) out.fieldInt32(row.count ?? 1);
    if (row.keyOnly) out.fieldsOrNull(image, carried, key ?? nothing);
    else out.fields(image, carried);
    if (group.hasBases) {
      if (base === null || key === null) out.nulls(route.keyColumns.length);
      else out.fields(base, key);
    }
    if (out.isFull) yield* out.take();
  }
  yield* out.end();
}

/** `t."id" = s.c1 AND …`. */
export function sameKey({ route, value }: Group): string {
  const keys = route.columns.flatMap((column, index) =>
    route.keyColumns.includes(column) ? [`t.${quoteIdent(column.name)} = ${value[index] ?? ''}`] : [],
  );
  return keys.join(' AND ');
}
