import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../../worker/local/postgres.ts';
import { eventually } from '../../../support/eventually.ts';
import { createDatabaseOn } from '../../../support/postgres.ts';
import { Changes, int32, positionAt, relation, transaction } from './changes.ts';
import { createLinkPlaceIn, leaf, type LinkPlace, ref, ship } from './link.ts';

const things = relation({ schema: 'public', name: 'things' }, ['id*']);

/** A target that writes its log late, so that a crash takes commits along that did not wait for it. */
describe('a link with durability async', () => {
  let server: PostgresServer;
  let place: LinkPlace;

  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_writer_delay: '10s' } });
    const database = await createDatabaseOn(server.url);
    place = await createLinkPlaceIn(database, 'CREATE TABLE things (id int PRIMARY KEY)');
  });
  afterAll(async () => {
    await place.end();
    await server.stop('immediate');
  });

  it('says what is on the disk, and a crash takes nothing of that', async () => {
    const writer = await place.writer({ durable: false });
    await writer.know([leaf('things', ['id'], ['id'])]);
    await ship(writer, [new Changes(things, transaction(2)).insert(int32(2))], 2);
    await writer.durable();
    await place.database.query('CHECKPOINT');
    await eventually(async () => (await writer.durable()) === positionAt(2));
    await ship(writer, [new Changes(things, transaction(3)).insert(int32(3))], 3);
    await delay(600);
    await writer.durable();
    await delay(600);
    expect(await writer.durable()).toBe(positionAt(2));
    await server.kill();
    await server.restart();
    const state = await eventually(() => place.target.read(ref));
    expect(state.position).toBe(positionAt(2));
    expect(await place.database.query('SELECT id FROM things')).toEqual([{ id: 2 }]);
  });

  it('needs no question where every commit waits for the disk', async () => {
    const writer = await place.writer();
    await writer.know([leaf('things', ['id'], ['id'])]);
    await ship(writer, [new Changes(things, transaction(4)).insert(int32(4))], 4);
    expect(await writer.durable()).toBe(positionAt(4));
  });
});
