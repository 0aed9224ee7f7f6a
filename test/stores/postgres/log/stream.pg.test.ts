import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogPosition } from '../../../../stores/spi/log.ts';
import { eventually } from '../../../support/eventually.ts';
import {
  beginning,
  createLogged,
  following,
  type LoggedSource,
  newAddress,
  readUntil,
  tables,
  told,
} from './followed.ts';

describe.each([18, 15] as const)('a log that is followed, on PostgreSQL %i', (version) => {
  let source: LoggedSource;

  beforeAll(async () => {
    source = await createLogged(version);
  });
  afterAll(async () => {
    await source.drop();
  });

  const make = (): Promise<unknown> =>
    source.database.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      CREATE TABLE public.t (id int PRIMARY KEY, v text)`);

  it('hands over every transaction from the beginning, and nothing twice after a confirmed one', async () => {
    await make();
    const address = newAddress();
    const begun = await source.log.begin(beginning(address, tables('t')));
    await source.database.query(`INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, NULL)`);
    await source.database.query(`UPDATE t SET v = 'b' WHERE id = 1`);
    await source.database.query(`UPDATE t SET id = 3 WHERE id = 2`);
    await source.database.query(`DELETE FROM t WHERE id = 1`);
    const reading = await source.log.follow(following(address, begun.position));
    let position: LogPosition = begun.position;
    const all: string[] = [];
    await readUntil(reading, (piece) => {
      all.push(...piece.changes.map(told));
      position = piece.position ?? position;
      return all.length === 5;
    });
    expect(all).toEqual([
      'insert t 1,a',
      'insert t 2,-',
      'update t 1,b',
      'update t 2,- -> 3,-',
      'delete t 1,-',
    ]);
    await reading.confirm(position);
    await eventually(async () => {
      const [slot] = await source.database.query<{ confirmed: boolean }>(
        `SELECT confirmed_flush_lsn >= $2::pg_lsn AS confirmed FROM pg_replication_slots WHERE slot_name = $1`,
        [address.slot, `${position.slice(0, 8)}/${position.slice(8)}`],
      );
      return slot?.confirmed;
    });
    await reading.close();
    await source.database.query(`INSERT INTO t VALUES (4, 'd')`);
    const again = await source.log.follow(following(address, position));
    const [piece] = await readUntil(again, (each) => each.changes.length > 0);
    expect(piece?.changes.map(told)).toEqual(['insert t 4,d']);
    await again.close();
    await source.log.end(address);
  });
});
