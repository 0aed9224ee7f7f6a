import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { logStart, type LinkAddress, type LogReading } from '../../../../stores/spi/log.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
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

describe.each([18, 15] as const)('slot and publication of a link, on PostgreSQL %i', (version) => {
  let source: LoggedSource;
  let database: TestDatabase;
  let address: LinkAddress;

  beforeAll(async () => {
    source = await createLogged(version);
    database = source.database;
  });
  afterAll(async () => {
    await source.drop();
  });
  beforeEach(async () => {
    address = newAddress();
    await database.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY);
      CREATE TABLE "Odd ""name" (id int PRIMARY KEY);
      CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
      CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)`);
  });

  const slots = (): Promise<{ failover: boolean | null; confirmed: string; plugin: string }[]> =>
    database.query(
      `SELECT (to_jsonb(s)->>'failover')::boolean AS failover, confirmed_flush_lsn::text AS confirmed, plugin
         FROM pg_replication_slots s WHERE slot_name = $1`,
      [address.slot],
    );
  const insertAndRead = async (reading: LogReading, id: number): Promise<void> => {
    await database.query(`INSERT INTO t VALUES (${id})`);
    const pieces = await readUntil(reading, (piece) => piece.changes.length > 0);
    expect(pieces.flatMap((piece) => piece.changes.map(told))).toEqual([`insert t ${id}`]);
  };

  it('are made once, with failover where the server knows it, and found again', async () => {
    const first = await source.log.begin(beginning(address, tables('t')));
    expect(first.position > logStart).toBe(true);
    expect(first).toMatchObject(await source.log.identity('job'));
    await database.query('INSERT INTO t VALUES (1)');
    expect(await source.log.begin(beginning(address, tables('t')))).toEqual(first);
    expect(await slots()).toMatchObject([{ failover: version === 18 ? true : null, plugin: 'pgoutput' }]);
    await source.log.end(address);
  });

  it('carry exactly the tables asked for, as they were selected', async () => {
    await source.log.begin(beginning(address, tables('t', 'root', 'parent')));
    const carried = async (): Promise<string[] | undefined> =>
      (await source.log.published(address))?.map(
        ({ table, insertsOnly }) => `${table.name}${insertsOnly ? ' (inserts)' : ''}`,
      );
    expect(await carried()).toEqual(['parent', 'root', 't']);
    const inserts = [{ table: { schema: 'public', name: 'u' }, insertsOnly: true }];
    await source.log.publish(beginning(address, [...tables('Odd "name', 'parent'), ...inserts]));
    expect(await carried()).toEqual(['Odd "name', 'parent', 'u (inserts)']);
    // A child made later is carried along when the same is asked for again.
    await database.query('CREATE TABLE child2 (PRIMARY KEY (id)) INHERITS (parent)');
    await source.log.publish(beginning(address, [...tables('Odd "name', 'parent'), ...inserts]));
    expect(
      await database.query(
        `SELECT tablename FROM pg_publication_tables WHERE pubname = $1 AND tablename = 'child2'`,
        [address.publication],
      ),
    ).toHaveLength(1);
    await source.log.publish(beginning(address, []));
    expect(await carried()).toEqual([]);
    await source.log.end(address);
    expect(await source.log.published(address)).toBeNull();
  });

  it('go together: a slot that is older than its publication is made anew, and what it lacks is called a gap', async () => {
    const first = await source.log.begin(beginning(address, tables('t')));
    await database.query(`DROP PUBLICATION ${address.publication}`);
    await database.query('INSERT INTO t VALUES (1)');
    await expect(source.log.publish(beginning(address, tables('t')))).rejects.toMatchObject({
      code: 'log.slotLost',
    });
    const second = await source.log.begin(beginning(address, tables('t')));
    expect(second.position > first.position).toBe(true);
    await expect(source.log.follow(following(address, first.position))).rejects.toMatchObject({
      code: 'log.gap',
    });
    await (await source.log.follow(following(address, second.position))).close();
    await source.log.end(address);
  });

  it('leave a reader that comes later alone in the field: the one before is ended', async () => {
    const { position } = await source.log.begin(beginning(address, tables('t')));
    const older = await source.log.follow(following(address, position));
    await insertAndRead(older, 1);
    const younger = await source.log.follow(following(address, position));
    const again = await readUntil(younger, (piece) => piece.changes.length > 0);
    expect(again.flatMap((piece) => piece.changes.map(told))).toEqual(['insert t 1']);
    await expect(readUntil(older, () => false)).rejects.toMatchObject({ code: 'store.connectionLost' });
    await insertAndRead(younger, 2);
    await older.close();
    await younger.close();
    await source.log.end(address);
  });

  it('are not taken from somebody else who reads the slot', async () => {
    const { position } = await source.log.begin(beginning(address, tables('t')));
    const reading = await source.log.follow(following(address, position));
    await insertAndRead(reading, 1);
    await reading.close();
    const stranger = new pg.Client({
      connectionString: database.url,
      replication: 'database',
    } as pg.ClientConfig);
    stranger.on('error', () => undefined);
    await stranger.connect();
    const options = `(proto_version '1', publication_names '${address.publication}')`;
    const reads = stranger
      .query(`START_REPLICATION SLOT ${address.slot} LOGICAL 0/0 ${options}`)
      .catch((error: unknown) => error);
    await expect.poll(active).toBe(true);
    await expect(source.log.follow(following(address, position))).rejects.toMatchObject({
      code: 'log.slotBusy',
    });
    expect(await active()).toBe(true);
    await source.log.end(address);
    expect(await reads).toBeInstanceOf(Error);
    expect(await slots()).toEqual([]);
    await stranger.end().catch(() => undefined);
  });

  const active = async (): Promise<boolean> => {
    const [slot] = await database.query<{ active: boolean }>(
      'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
      [address.slot],
    );
    return slot?.active === true;
  };

  it('that vanish while they are read end the reading, and are called lost from then on', async () => {
    const { position } = await source.log.begin(beginning(address, tables('t')));
    const reading = await source.log.follow(following(address, position));
    await insertAndRead(reading, 1);
    const rest = readUntil(reading, () => false).catch((error: unknown) => error);
    await database.query(
      `SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = $1`,
      [address.slot],
    );
    await database.query('SELECT pg_drop_replication_slot($1)', [address.slot]);
    // Whoever asks at once may find the slot still there.
    expect(['store.connectionLost', 'log.slotLost']).toContain(((await rest) as { code: string }).code);
    await reading.close();
    expect(await source.log.retained(address)).toBeNull();
    await expect(source.log.follow(following(address, position))).rejects.toMatchObject({
      code: 'log.slotLost',
    });
    await source.log.end(address);
  });

  it('of another database of the server are nobody of ours', async () => {
    const other = await createDatabase(version);
    await other.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [address.slot]);
    await expect(source.log.begin(beginning(address, tables('t')))).rejects.toMatchObject({
      code: 'log.notReady',
    });
    expect(await source.log.retained(address)).toBeNull();
    await source.log.end(address);
    expect(await slots()).toHaveLength(1);
    await other.drop();
  });

  it('that no link knows are strays', async () => {
    await source.log.begin(beginning(address, tables('t')));
    const other = newAddress();
    await source.log.begin(beginning(other, tables('t')));
    const strays = await source.log.strays([address]);
    expect(strays).toEqual([
      `slot ${other.slot}`,
      `publication ${other.publication}`,
      `publication ${other.publication}_i`,
    ]);
    await source.log.end(address);
    await source.log.end(other);
    await source.log.end(other);
    expect(await source.log.strays([])).toEqual([]);
  });

  it('say what the server keeps for them', async () => {
    const { position } = await source.log.begin(beginning(address, tables('t')));
    await database.query('INSERT INTO t SELECT generate_series(1, 20000)');
    const kept = await source.log.retained(address);
    expect(kept).toMatchObject({ state: 'kept', reason: null });
    expect(kept?.end ?? '').toSatisfy((end: string) => end > position);
    expect(kept?.bytes).toBeGreaterThan(1_000_000);
    await source.log.end(address);
  });
});
