import { describeStore, type Rows, type StorePair } from '../../conformance/describe-store.ts';
import { eventually } from '../../support/eventually.ts';
import { openStage } from '../../support/load-job.ts';
import { createDatabase } from '../../support/postgres.ts';

describeStore('postgres 18', () => open(18, 18));
describeStore('postgres 15', () => open(15, 15));
describeStore('postgres from 18 to 15', () => open(18, 15));

async function open(from: 18 | 15, to: 18 | 15): Promise<StorePair> {
  const [source, target] = await Promise.all([createDatabase(from), createDatabase(to)]);
  const stage = openStage({ source, target }, { connections: 8 });
  const sides = { source, target };
  const found = async (): Promise<readonly string[]> => {
    const rows = await target.query<{ what: string }>(
      `SELECT 'table ' || relname AS what FROM pg_class WHERE starts_with(relname, 'x_') AND relkind = 'r'
       UNION ALL SELECT 'session ' || application_name FROM pg_stat_activity WHERE datname = current_database()
          AND application_name LIKE 'syncline/%' AND state <> 'idle'
       UNION ALL SELECT 'lock ' || locktype FROM pg_locks l WHERE locktype = 'advisory'
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    return rows.map((row) => row.what);
  };
  return {
    ...stage.stores,
    table: async (name, rows) => {
      for (const side of ['source', 'target'] as const) {
        await sides[side].query(`CREATE TABLE public.${name} (id int PRIMARY KEY, v text)`);
        await sides[side].query(
          `INSERT INTO public.${name} SELECT (r->>0)::int, r->>1 FROM jsonb_array_elements($1::jsonb) r`,
          [JSON.stringify(rows[side])],
        );
      }
    },
    rowsOf: async (side, table) =>
      (
        await sides[side].query<{ id: number; v: string | null }>(
          `SELECT id, v FROM public.${table} ORDER BY id`,
        )
      ).map(({ id, v }): Rows[number] => [id, v]),
    // A server notices a closed socket a moment later.
    leftovers: async () => {
      await eventually(async () => (await found()).length === 0).catch(() => undefined);
      return await found();
    },
    close: async () => {
      await stage.close();
      await Promise.all([source.drop(), target.drop()]);
    },
  };
}
