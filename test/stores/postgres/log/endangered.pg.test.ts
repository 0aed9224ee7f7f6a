import { describe, expect, it } from 'vitest';
import { createLogSource } from '../../../../stores/postgres/log/log-source.ts';
import type { RetainedLog } from '../../../../stores/spi/log.ts';
import { beginning, following, newAddress, readUntil, tables } from './followed.ts';
import { ownServer } from './own-server.ts';

/** A server that keeps only so much log for a slot that nobody reads (`max_slot_wal_keep_size`). */
describe.each([18, 15] as const)('the log that a PostgreSQL %i keeps', (version) => {
  const own = ownServer({
    version,
    settings: { max_slot_wal_keep_size: '64MB' },
    tables: 'CREATE TABLE public.t (id int PRIMARY KEY)',
  });

  it('is said to be in danger before it is lost, and is never followed once it is', async () => {
    const { database, sessions } = own();
    const log = createLogSource(sessions);
    const address = newAddress();
    const { position } = await log.begin(beginning(address, tables('t')));
    const seen: RetainedLog[] = [];
    for (let turn = 1; turn <= 8 && seen.at(-1)?.state !== 'endangered'; turn += 1) {
      await database.query(`INSERT INTO public.t VALUES (${String(turn)})`);
      // A segment of 16 MB each, for next to nothing.
      await database.query('SELECT pg_switch_wal()');
      const retained = await log.retained(address);
      if (retained !== null) seen.push(retained);
    }
    expect(seen[0]).toMatchObject({ state: 'kept', reason: null });
    expect(seen.at(-1)).toMatchObject({
      state: 'endangered',
      reason: expect.stringContaining('max_slot_wal_keep_size') as string,
    });
    for (let turn = 0; turn < 3; turn += 1) {
      await database.query(`INSERT INTO public.t VALUES (${String(100 + turn)})`);
      await database.query('SELECT pg_switch_wal()');
      await database.query('CHECKPOINT');
    }
    expect(await log.retained(address)).toMatchObject({
      state: 'lost',
      reason: expect.stringContaining('wal_removed') as string,
    });
    await expect(log.follow(following(address, position))).rejects.toMatchObject({ code: 'log.slotLost' });
    // What is made anew under the name begins where the log is now.
    const again = await log.begin(beginning(address, tables('t')));
    expect(again.position > position).toBe(true);
    await database.query('INSERT INTO public.t VALUES (1000)');
    const reading = await log.follow(following(address, again.position));
    await readUntil(reading, (piece) => piece.changes.length > 0);
    await reading.close();
    await log.end(address);
  });
});
