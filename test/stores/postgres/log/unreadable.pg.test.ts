import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { followLimits } from '../../../../stores/postgres/log/follow.ts';
import { createLogSource } from '../../../../stores/postgres/log/log-source.ts';
import { beginning, following, newAddress, readUntil, tables, told } from './followed.ts';
import { ownServer } from './own-server.ts';

/** Log that the server keeps but cannot decode: waiting would last for ever. */
describe.each([18, 15] as const)('log that a PostgreSQL %i cannot read', (version) => {
  const own = ownServer({ version, tables: 'CREATE TABLE public.t (id int PRIMARY KEY, v text)' });

  /** Zeros where the middle of a segment was that holds only rows of ours. */
  async function damage(segment: string): Promise<void> {
    const file = await open(join(own().server.dataDirectory, 'pg_wal', segment), 'r+');
    await file.write(Buffer.alloc(64 * 1024), 0, 64 * 1024, 1024 * 1024);
    await file.close();
  }

  it.each(['pull', 'stream'] as const)('is lost, says who follows it by %s', async (way) => {
    const { database, sessions } = own();
    const log = createLogSource(sessions, {
      ...followLimits,
      pullFromBytes: way === 'pull' ? 0 : Infinity,
      fallBackBytes: Infinity,
    });
    const address = newAddress();
    await database.query('TRUNCATE public.t');
    const { position } = await log.begin(beginning(address, tables('t')));
    await database.query('INSERT INTO public.t VALUES (0)');
    await database.query('SELECT pg_switch_wal()');
    await database.query(`INSERT INTO public.t SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i`);
    const [at] = await database.query<{ segment: string }>(
      'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS segment',
    );
    await database.query('SELECT pg_switch_wal(); CHECKPOINT');
    await damage(at?.segment ?? '');
    const before: string[] = [];
    const reading = await log.follow(following(address, position));
    const whole = readUntil(reading, (piece) => {
      before.push(...piece.changes.map(told));
      return false;
    });
    await expect(whole).rejects.toMatchObject({
      code: 'log.slotLost',
      message: expect.stringContaining('cannot decode') as string,
    });
    // A portion is asked for as a whole; a stream may have come to the row before it, or not been asked yet.
    expect(way === 'stream' ? ['insert t 0,-'] : []).toEqual(expect.arrayContaining(before));
    await reading.close();
    await log.end(address);
  });
});
