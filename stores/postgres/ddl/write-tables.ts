import { renamed, renamedPart, type Renaming } from '../../../planning/leaf-names.ts';
import type { TableName } from '../../spi/tables.ts';
import type { Member } from '../catalog/leaves.ts';
import { quoteIdent, quoteLiteral, quoteName } from '../identifiers.ts';
import type { ColumnPieces, Index, Sequence, TableFacts, TableOptions } from './read-tables.ts';
import { virtualColumn, withNewTable } from './statements.ts';

/** One table tree of the source, and the name its copy gets. */
export interface Tree {
  readonly members: readonly Member[];
  readonly facts: TableFacts;
  readonly renaming: Renaming;
}

/**
 * CREATE TABLE and what its columns need, parents before children; each statement is marked with its table.
 * Default partitions come last: each partition made beside one costs a look into it.
 */
export function createTables(tree: Tree): string[] {
  const isDefault = (member: Member): number => (member.bounds.at(-1) === 'DEFAULT' ? 1 : 0);
  const byLevel = tree.members
    .filter((member) => member.kind !== 'f')
    .sort((left, right) => left.level - right.level || isDefault(left) - isDefault(right));
  return byLevel.flatMap((member) => {
    const as = renamed(member.name, tree.renaming);
    const statements = [
      createTable(member, tree),
      ...columnAlters(member, tree),
      ...ownSequences(member, tree),
    ];
    return statements.map((statement) => withNewTable(as, statement));
  });
}

function createTable(member: Member, tree: Tree): string {
  const as = quoteName(renamed(member.name, tree.renaming));
  const options = optionsOf(member, tree);
  const columns = tree.facts.columns.get(member.oid) ?? [];
  const constraints = (tree.facts.constraints.get(member.oid) ?? []).map(
    (constraint) =>
      `CONSTRAINT ${quoteIdent(renamedPart(constraint.name, tree.renaming))} ${constraint.definition}`,
  );
  const partitionKey = options?.partitionKey ?? null;
  const key = partitionKey === null ? '' : ` PARTITION BY ${partitionKey}`;
  const storage = storageOptions(options);
  const bound = member.bounds.at(-1);
  if (bound !== undefined) {
    const parent = quoteName(renamed(nameOf(member.parent, tree), tree.renaming));
    const overrides = columns.flatMap((column) => overrideOf(column, tree));
    const body = [...overrides, ...constraints];
    return `CREATE TABLE ${as} PARTITION OF ${parent}${body.length === 0 ? '' : ` (${body.join(', ')})`} ${bound}${key}${storage}`;
  }
  const own = columns.filter((column) => column.local).map((column) => columnOf(column, tree));
  const parents = (options?.parents ?? []).filter((oid) => member.parent !== null && isMember(oid, tree));
  const inherits = parents.map((oid) => quoteName(renamed(nameOf(oid, tree), tree.renaming))).join(', ');
  return `CREATE TABLE ${as} (${[...own, ...constraints].join(', ')})${inherits === '' ? '' : ` INHERITS (${inherits})`}${key}${storage}`;
}

function columnOf(column: ColumnPieces, tree: Tree): string {
  return `${column.name} ${column.type}${column.options}${valueOf(column, tree)}${column.notNull ? ' NOT NULL' : ''}`;
}

function valueOf(column: ColumnPieces, tree: Tree): string {
  if (column.identity !== '') {
    const sequence = tree.facts.sequences.find(({ oid }) => oid === column.identitySequence);
    const options = sequence === undefined ? '' : ` (${identityOptions(sequence, tree)})`;
    return ` GENERATED ${column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY${options}`;
  }
  if (column.default === null) return '';
  if (column.generated === '') return ` DEFAULT ${retarget(column.default, tree)}`;
  return ` GENERATED ALWAYS AS (${column.default}) ${column.generated === 's' ? 'STORED' : virtualColumn}`;
}

/** The sequence of an identity column has the column's type; AS is no option there. */
function identityOptions(sequence: Sequence, tree: Tree): string {
  const name = quoteName(renamed(sequence, tree.renaming));
  return `SEQUENCE NAME ${name} ${sequence.definition.replace(/^AS \S+ /, '')}`;
}

/** Where a partition says something else than the table above it. */
function overrideOf(column: ColumnPieces, tree: Tree): string[] {
  if (column.generated !== '' || column.identity !== '') return [];
  const value = column.default === null ? '' : ` DEFAULT ${retarget(column.default, tree)}`;
  const text = `${value}${column.notNull ? ' NOT NULL' : ''}`;
  return text === '' ? [] : [`${column.name} WITH OPTIONS${text}`];
}

/** A default holds its sequence as `'schema.name'::regclass`, by the name it had. */
function retarget(expression: string, tree: Tree): string {
  return tree.facts.sequences.reduce((text, sequence) => {
    const name = sequenceName(sequence, tree.renaming);
    const literal = quoteLiteral(quoteName(name));
    return text.replaceAll(`${sequence.literal}::regclass`, () => `${literal}::regclass`);
  }, expression);
}

/** A sequence that no column of the table owns is somebody else's too and keeps its name. */
export function sequenceName(sequence: Sequence, renaming: Renaming): TableName {
  return sequence.ownerRelation === null
    ? { schema: sequence.schema, name: sequence.name }
    : renamed(sequence, renaming);
}

function columnAlters(member: Member, tree: Tree): string[] {
  const as = quoteName(renamed(member.name, tree.renaming));
  const columns = tree.facts.columns.get(member.oid) ?? [];
  return columns.flatMap((column) => {
    const inheritedDefault =
      !column.local && member.bounds.length === 0 && column.default !== null && column.generated === ''
        ? [`SET DEFAULT ${retarget(column.default, tree)}`]
        : [];
    return [...column.alters, ...inheritedDefault].map(
      (alter) => `ALTER TABLE ONLY ${as} ALTER COLUMN ${column.name} ${alter}`,
    );
  });
}

function ownSequences(member: Member, tree: Tree): string[] {
  const as = quoteName(renamed(member.name, tree.renaming));
  return tree.facts.sequences
    .filter((sequence) => sequence.ownerRelation === member.oid && !sequence.isIdentity)
    .map((sequence) => {
      const name = quoteName(sequenceName(sequence, tree.renaming));
      return `ALTER SEQUENCE ${name} OWNED BY ${as}.${quoteIdent(sequence.ownerColumn ?? '')}`;
    });
}

/** Sequences that defaults draw from; those of identity columns come with the column. */
export function createSequences(tree: Tree): string[] {
  return tree.facts.sequences
    .filter((sequence) => !sequence.isIdentity)
    .map(
      (sequence) =>
        `CREATE SEQUENCE IF NOT EXISTS ${quoteName(sequenceName(sequence, tree.renaming))} ${sequence.definition}`,
    );
}

/** Indexes without a constraint, then the replica identity. Indexes of partitions are made by those above. */
export function createIndexes(tree: Tree): string[] {
  return tree.members.flatMap((member) => {
    const as = renamed(member.name, tree.renaming);
    const indexes = tree.facts.indexes.get(member.oid) ?? [];
    const statements = [
      ...indexes.map((index) => createIndex(index, as, tree)),
      ...constraintStorage(member, tree),
      ...replicaIdentity(member, tree),
    ];
    return statements.map((statement) => withNewTable(as, statement));
  });
}

function createIndex(index: Index, as: TableName, tree: Tree): string {
  const name = quoteIdent(renamedPart(index.name, tree.renaming));
  return `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${name} ON ${quoteName(as)} ${index.definition}`;
}

function constraintStorage(member: Member, tree: Tree): string[] {
  const { schema } = renamed(member.name, tree.renaming);
  return (tree.facts.constraints.get(member.oid) ?? []).flatMap(({ name, indexOptions }) =>
    indexOptions === null
      ? []
      : `ALTER INDEX ${quoteName({ schema, name: renamedPart(name, tree.renaming) })} SET (${optionList(indexOptions)})`,
  );
}

function replicaIdentity(member: Member, tree: Tree): string[] {
  const options = optionsOf(member, tree);
  const as = quoteName(renamed(member.name, tree.renaming));
  const set = `ALTER TABLE ONLY ${as} REPLICA IDENTITY`;
  if (options?.replicaIdentity === 'f') return [`${set} FULL`];
  if (options?.replicaIdentity === 'n') return [`${set} NOTHING`];
  if (options?.replicaIdentity !== 'i' || options.identityIndex === null) return [];
  return [`${set} USING INDEX ${quoteIdent(renamedPart(options.identityIndex, tree.renaming))}`];
}

function storageOptions(options: TableOptions | undefined): string {
  const own = options?.options ?? [];
  const toast = (options?.toastOptions ?? []).map((option) => `toast.${option}`);
  return own.length + toast.length === 0 ? '' : ` WITH (${optionList([...own, ...toast])})`;
}

/** From `name=value` as the catalogue has it. */
function optionList(options: readonly string[]): string {
  return options
    .map((option) => {
      const at = option.indexOf('=');
      return `${option.slice(0, at)}=${quoteLiteral(option.slice(at + 1))}`;
    })
    .join(', ');
}

export function optionsOf(member: Member, tree: Tree): TableOptions | undefined {
  return tree.facts.options.get(member.oid)?.[0];
}

function isMember(oid: number, tree: Tree): boolean {
  return memberIndex(tree).has(oid);
}

function nameOf(oid: number | null, tree: Tree): TableName {
  const found = oid === null ? undefined : memberIndex(tree).get(oid);
  if (found === undefined) throw new Error('a member of a tree has its parent in the tree');
  return found.name;
}

const indexes = new WeakMap<Tree, ReadonlyMap<number, Member>>();

function memberIndex(tree: Tree): ReadonlyMap<number, Member> {
  const known = indexes.get(tree) ?? new Map(tree.members.map((member) => [member.oid, member]));
  indexes.set(tree, known);
  return known;
}
