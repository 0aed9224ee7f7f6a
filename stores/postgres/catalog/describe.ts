import type { HangingObjects, TableDefinition } from '../../spi/tables.ts';
import type { Session } from '../connection.ts';
import { readColumns } from './columns.ts';
import { readHanging } from './hanging.ts';
import { countUniques, type Membership, readKeys } from './keys.ts';
import { leavesOf, type Member, readMembers } from './leaves.ts';
import type { Relation } from './relations.ts';

const nothingHangs: HangingObjects = { referencedBy: [], views: [], publications: [], other: [] };

/** server_version_num: 180004 is 18.4. */
export async function serverVersion(session: Session): Promise<number> {
  const [row] = await session.query<{ readonly version: number }>(
    "SELECT current_setting('server_version_num')::int AS version",
  );
  return row?.version ?? 0;
}

/** A clone has the same system identifier, but was not started in the same microsecond. */
async function placeOf(session: Session): Promise<string> {
  const [row] = await session.query<{ readonly place: string }>(
    `SELECT format('%s %s', extract(epoch FROM pg_postmaster_start_time()), oid) AS place
       FROM pg_database WHERE datname = current_database()`,
  );
  return row?.place ?? '';
}

/** Describes each relation; a fixed number of statements, whatever the number of tables and leaves. */
export async function describeRelations(
  session: Session,
  relations: readonly Relation[],
): Promise<ReadonlyMap<number, TableDefinition>> {
  const oids = [...new Set(relations.map((relation) => relation.oid))];
  if (oids.length === 0) return new Map();
  const version = await serverVersion(session);
  const place = await placeOf(session);
  const trees = await readMembers(session, oids);
  const all = membership(trees);
  const columns = await readColumns(session, oids);
  const inherited = relations.filter((relation) => relation.shape === 'inherited');
  const keys = await readKeys(session, [
    ...oids,
    ...inherited.flatMap((root) => memberOids(trees, root.oid)),
  ]);
  const uniques = await countUniques(session, all);
  const hanging = await readHanging(session, all, version);
  return new Map(
    relations.map((relation) => {
      const members = trees.get(relation.oid) ?? [];
      const key = keyOf(relation, keys, members);
      const definition: TableDefinition = {
        name: relation.name,
        shape: relation.shape,
        columns: columns.get(relation.oid) ?? [],
        key,
        leaves: leavesOf(members),
        dialect: `postgres ${Math.floor(version / 10_000)}`,
        place,
        hasSecondaryUnique: (uniques.get(relation.oid) ?? 0) > (key === null ? 0 : 1),
        hanging: hanging.get(relation.oid) ?? nothingHangs,
      };
      return [relation.oid, definition];
    }),
  );
}

function memberOids(trees: ReadonlyMap<number, readonly Member[]>, root: number): number[] {
  return (trees.get(root) ?? []).map((member) => member.oid);
}

function membership(trees: ReadonlyMap<number, readonly Member[]>): Membership {
  const roots: number[] = [];
  const members: number[] = [];
  for (const [root, tree] of trees) {
    for (const member of tree) {
      roots.push(root);
      members.push(member.oid);
    }
  }
  return { roots, members };
}

/** Plain inheritance does not hand keys down: the root's counts only where every child has the same. */
function keyOf(
  relation: Relation,
  keys: ReadonlyMap<number, readonly string[]>,
  members: readonly Member[],
): readonly string[] | null {
  const key = keys.get(relation.oid) ?? null;
  if (key === null || relation.shape !== 'inherited') return key;
  const same = members.every((member) => keys.get(member.oid)?.join('\0') === key.join('\0'));
  return same ? key : null;
}
