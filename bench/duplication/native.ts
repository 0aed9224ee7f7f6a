import type { Side } from '../stage.ts';
import { type Follower, until } from './follower.ts';
import { createTables, followedTables } from './tables.ts';

/**
 * PostgreSQL's own subscription, at its best: binary rows, large transactions applied by parallel workers while they
 * arrive (16 and later). Its commits do not wait for the disk, by its default.
 */
export function nativeFollower(source: Side, target: Side): Follower {
  const name = 'bench_native';
  const isActive = async (): Promise<boolean> => {
    const slots = await source.query<{ active: boolean }>(
      'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
      [name],
    );
    return slots[0]?.active ?? false;
  };
  return {
    name: 'native',
    target,
    begin: async () => {
      await createTables(target);
      await source.query(`CREATE PUBLICATION ${name} FOR TABLE ${followedTables.join(', ')}`);
      const streaming = await streamingOf(target);
      await target.query(
        `CREATE SUBSCRIPTION ${name} CONNECTION '${source.url}' PUBLICATION ${name} WITH (binary = true, streaming = ${streaming})`,
      );
      await until('the load of the subscription', async () => {
        const waiting = await target.query(
          `SELECT 1 FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
            WHERE s.subname = $1 AND r.srsubstate <> 'r'`,
          [name],
        );
        return waiting.length === 0;
      });
    },
    stop: async () => {
      await target.query(`ALTER SUBSCRIPTION ${name} DISABLE`);
      await until('the end of the apply worker', async () => !(await isActive()));
    },
    resume: async () => {
      await target.query(`ALTER SUBSCRIPTION ${name} ENABLE`);
    },
    end: async () => {
      await target.query(`DROP SUBSCRIPTION IF EXISTS ${name}`);
      await source.query(`DROP PUBLICATION IF EXISTS ${name}`);
    },
  };
}

async function streamingOf(target: Side): Promise<string> {
  const rows = await target.query<{ version: number }>(
    `SELECT current_setting('server_version_num')::int AS version`,
  );
  return (rows[0]?.version ?? 0) >= 160_000 ? 'parallel' : 'on';
}
