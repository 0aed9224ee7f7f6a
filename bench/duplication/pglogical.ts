import type { Side } from '../stage.ts';
import { type Follower, until } from './follower.ts';
import { createTables, followedTables } from './tables.ts';

/** Whether both servers have the extension, loaded at their start as it has to be. */
export async function hasPglogical(...sides: readonly Side[]): Promise<boolean> {
  const answers = await Promise.all(
    sides.map((side) =>
      side.query(
        `SELECT 1 FROM pg_available_extensions
          WHERE name = 'pglogical' AND current_setting('shared_preload_libraries') LIKE '%pglogical%'`,
      ),
    ),
  );
  return answers.every(({ length }) => length > 0);
}

/** Version 2, with its defaults. */
export function pglogicalFollower(source: Side, target: Side): Follower {
  const name = 'bench_pglogical';
  const status = async (): Promise<string> => {
    const rows = await target.query<{ status: string }>(
      'SELECT status FROM pglogical.show_subscription_status($1)',
      [name],
    );
    return rows[0]?.status ?? '';
  };
  const isActive = async (): Promise<boolean> => {
    const slots = await source.query(
      `SELECT 1 FROM pg_replication_slots WHERE plugin = 'pglogical_output' AND database = current_database() AND active`,
    );
    return slots.length > 0;
  };
  return {
    name: 'pglogical',
    target,
    begin: async () => {
      await createTables(target);
      for (const side of [source, target]) {
        await side.query('CREATE EXTENSION pglogical');
        await side.query('SELECT pglogical.create_node($1, $2)', [
          side === source ? 'provider' : 'subscriber',
          side.url,
        ]);
      }
      for (const table of followedTables)
        await source.query(`SELECT pglogical.replication_set_add_table('default', $1)`, [table]);
      await target.query('SELECT pglogical.create_subscription($1, $2)', [name, source.url]);
      await until('the load of pglogical', async () => (await status()) === 'replicating');
      await target.query('SELECT pglogical.wait_for_subscription_sync_complete($1)', [name]);
    },
    stop: async () => {
      await target.query('SELECT pglogical.alter_subscription_disable($1, true)', [name]);
      await until('the end of pglogical', async () => !(await isActive()));
    },
    resume: async () => {
      await target.query('SELECT pglogical.alter_subscription_enable($1, true)', [name]);
    },
    end: async () => {
      await target.query('SELECT pglogical.drop_subscription($1, true)', [name]);
    },
  };
}
