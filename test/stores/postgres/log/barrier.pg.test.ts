import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Waiting } from '../../../../stores/spi/log.ts';
import { eventually } from '../../../support/eventually.ts';
import { createDatabase } from '../../../support/postgres.ts';
import { beginning, createLogged, type LoggedSource, newAddress, tables } from './followed.ts';

/** The hole of research 2.1: a snapshot's xmax is the latest completed transaction + 1, and says nothing of later ones. */
describe.each([18, 15] as const)('the barrier, on PostgreSQL %i', (version) => {
  let source: LoggedSource;

  beforeAll(async () => {
    source = await createLogged(version);
    await source.database.query('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)');
  });
  afterAll(async () => {
    await source.drop();
  });

  /** Settles when the publication has changed and the barrier is passed; says whether it has. */
  function publishing(
    address = newAddress(),
    name = 'u',
  ): { done: Promise<void>; over: () => boolean; who: Waiting[] } {
    const who: Waiting[] = [];
    let over = false;
    const done = source.log
      .publish(beginning(address, tables('t', name), { waiting: (now) => who.push(...now) }))
      .finally(() => (over = true));
    done.catch(() => undefined);
    return { done, over: () => over, who };
  }

  const begun = async (): Promise<ReturnType<typeof newAddress>> => {
    const address = newAddress();
    await source.log.begin(beginning(address, tables('t')));
    return address;
  };

  const writer = async (name: string): Promise<pg.Client> => {
    const client = await source.database.connect();
    await client.query(`SET application_name = '${name}'`);
    return client;
  };

  it('waits for a transaction that is newer than the latest completed one, which no snapshot tells of', async () => {
    const address = await begun();
    const client = await writer('late-writer');
    await client.query('BEGIN');
    await client.query('INSERT INTO u VALUES (1)');
    const { done, over, who } = publishing(address);
    await eventually(() => who.some(({ name }) => name === 'late-writer'));
    expect(over()).toBe(false);
    expect(who[0]).toMatchObject({ what: 'transaction', database: source.database.name });
    await client.query('COMMIT');
    await done;
    await source.log.end(address);
  });

  it('waits for a prepared transaction, and names it', async () => {
    const address = await begun();
    const client = await writer('preparer');
    await client.query(`BEGIN; INSERT INTO t VALUES (10); PREPARE TRANSACTION '${address.slot}'`);
    const { done, over, who } = publishing(address);
    await eventually(() => who.some(({ what, name }) => what === 'prepared' && name === address.slot));
    expect(over()).toBe(false);
    await client.query(`COMMIT PREPARED '${address.slot}'`);
    await done;
    await source.log.end(address);
  });

  it('waits for writers of other databases, whose ids are from the same count', async () => {
    const address = await begun();
    const other = await createDatabase(version);
    const client = await other.connect();
    await client.query(`SET application_name = 'elsewhere'; CREATE TABLE x (id int)`);
    await client.query('BEGIN');
    await client.query('INSERT INTO x VALUES (1)');
    const { done, over, who } = publishing(address);
    await eventually(() => who.some(({ name, database }) => name === 'elsewhere' && database === other.name));
    expect(over()).toBe(false);
    await client.query('ROLLBACK');
    await done;
    await other.drop();
    await source.log.end(address);
  });

  it('does not wait for those who only read, nor for those who begin to write later', async () => {
    const address = await begun();
    const reader = await writer('reader');
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t');
    const client = await writer('one-after-another');
    let writing = true;
    const writes = (async () => {
      for (let id = 100; writing; id += 1) await client.query(`BEGIN; INSERT INTO t VALUES (${id}); COMMIT`);
    })();
    await expect(publishing(address).done).resolves.toBeUndefined();
    expect(writing).toBe(true);
    writing = false;
    await writes;
    await reader.query('COMMIT');
    await source.log.end(address);
  });

  it('gives up at its deadline and says who it was, also while the slot is made', async () => {
    const address = await begun();
    const client = await writer('sleeper');
    await client.query('BEGIN');
    await client.query('INSERT INTO t VALUES (11)');
    await expect(
      source.log.publish(beginning(address, tables('t', 'u'), { deadlineMs: 300 })),
    ).rejects.toMatchObject({
      code: 'log.barrierTimeout',
      message: expect.stringContaining('sleeper') as string,
    });
    const fresh = newAddress();
    await expect(source.log.begin(beginning(fresh, tables('t'), { deadlineMs: 300 }))).rejects.toMatchObject({
      code: 'log.barrierTimeout',
      message: expect.stringContaining('sleeper') as string,
    });
    // What was given up leaves no slot behind, and is made when it is asked for again.
    await eventually(async () => (await source.log.retained(fresh)) === null);
    await client.query('ROLLBACK');
    await source.log.begin(beginning(fresh, tables('t')));
    await source.log.end(fresh);
    await source.log.end(address);
  });

  it('ends when it is told to', async () => {
    const address = await begun();
    const client = await writer('sleeper');
    await client.query('BEGIN');
    await client.query('INSERT INTO t VALUES (12)');
    const stop = new AbortController();
    const publishing = source.log.publish(
      beginning(address, tables('t', 'u'), { signal: stop.signal, waiting: () => stop.abort() }),
    );
    await expect(publishing).rejects.toThrow();
    await client.query('ROLLBACK');
    await source.log.end(address);
  });
});
