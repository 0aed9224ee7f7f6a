import { CopyIn } from '../../stores/postgres/copy/copy-in.ts';
import { CopyOut } from '../../stores/postgres/copy/copy-out.ts';
import { createTable, partitionNames, tableName } from '../bench-table.ts';
import { type Lane, onLanes } from '../lanes.ts';
import { parallel, type Way } from './way.ts';

/**
 * What is left without Temporal, ledger, snapshot, catalogue and checks: bytes of COPY from one socket to the other,
 * FREEZE into fresh tables, keys, attach; one transaction a partition. The parent is there beforehand.
 */
export function limitWay(analyze: boolean): Way {
  return {
    name: analyze ? 'limit-analyze' : 'limit',
    needs: [],
    prepare: async ({ stage }) => {
      await createTable(stage.target, { rows: 0, partitions: 0 }, { keys: true });
    },
    copy: async ({ stage, size }) => {
      const bounds = await stage.source.query<{ name: string; bound: string }>(
        `SELECT c.oid::regclass::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
           FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid WHERE h.inhparent = '${tableName}'::regclass`,
      );
      const boundOf = new Map(bounds.map(({ name, bound }) => [`public.${name}`, bound]));
      await onLanes(stage, { items: partitionNames(size.partitions), lanes: parallel }, (lane, name) =>
        copyOne(lane, name, boundOf.get(name) ?? ''),
      );
      if (analyze) await stage.target.query(`ANALYZE ${tableName}`);
      return null;
    },
  };
}

async function copyOne({ source, target }: Lane, name: string, bound: string): Promise<void> {
  await target.query(`BEGIN; CREATE TABLE ${name} (LIKE ${tableName} INCLUDING DEFAULTS)`);
  const out = new CopyOut(`COPY ${name} TO STDOUT (FORMAT binary)`, { framed: true }).start(source);
  const into = new CopyIn(`COPY ${name} FROM STDIN (FORMAT binary, FREEZE)`);
  await into.run(target, { format: 'binary', framed: true, bytes: out });
  await target.query(`ALTER TABLE ${name} ADD PRIMARY KEY (id)`);
  await target.query(`ALTER TABLE ${tableName} ATTACH PARTITION ${name} ${bound}; COMMIT`);
}
