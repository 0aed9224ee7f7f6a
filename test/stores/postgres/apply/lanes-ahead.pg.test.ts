import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LinkWriter } from '../../../../stores/spi/log-target.ts';
import type { LogChange } from '../../../../stores/spi/log.ts';
import { Changes, int32, positionAt, relation, transaction } from './changes.ts';
import { batchOf, createLinkPlace, leaf, type LinkPlace, plainly, ref, ship } from './link.ts';

const followed = relation({ schema: 'public', name: 'followed' }, ['id*', 'v']);
const late = relation({ schema: 'public', name: 'late' }, ['id*', 'v']);
const leaves = [leaf('followed', ['id', 'v'], ['id']), leaf('late', ['id', 'v'], ['id'])];
const leafOf = (): (typeof leaves)[number] => leaves[1] ?? leaf('late', ['id', 'v'], ['id']);
const drain = { leaves: ['public.late'], limit: 100, leafOf, admit: (change: LogChange) => [change] };

/**
 * A target that is killed between the commits of two lanes leaves one ahead of the link. When the log comes again, what waited
 * the first time may be for the lanes to apply: they must not take it for done.
 */
describe.each([18, 15] as const)('lanes that are ahead of their link, on PostgreSQL %i', (version) => {
  let place: LinkPlace;

  beforeAll(async () => {
    place = await createLinkPlace(
      version,
      'CREATE TABLE followed (id int PRIMARY KEY, v int); CREATE TABLE late (id int PRIMARY KEY, v int)',
    );
    // The link's row is moved by lane 0, which commits last: here it cannot.
    await place.database.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END';
      CREATE CONSTRAINT TRIGGER fails AFTER UPDATE ON syncline.link DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse();
      ALTER TABLE syncline.link DISABLE TRIGGER fails`);
  });
  afterAll(() => place.end());
  beforeEach(async () => {
    await place.database.query(
      `TRUNCATE followed, late, syncline.spool, syncline.dead_transaction CASCADE; DELETE FROM syncline.lane;
       UPDATE syncline.link SET position = $$${positionAt(1)}$$`,
    );
  });

  const changesOf = (shape: typeof followed, position: number): LogChange[] => {
    const changes = new Changes(shape, transaction(position));
    return Array.from({ length: 30 }, (_each, id) => changes.insert(int32(id), int32(position)));
  };
  const count = async (table: string): Promise<number> =>
    (await place.database.query(`SELECT 1 FROM ${table}`)).length;
  const lanesAhead = (): Promise<unknown[]> =>
    place.database.query(`SELECT lane FROM syncline.lane WHERE position > $1`, [positionAt(1)]);

  async function open(): Promise<LinkWriter> {
    const writer = await place.writer({ lanes: 3 });
    await writer.know(leaves);
    return writer;
  }

  /** The commit of lane 0 fails, after those of the others. */
  async function failsToCommit(writer: LinkWriter, to: number): Promise<void> {
    await place.database.query('ALTER TABLE syncline.link ENABLE ALWAYS TRIGGER fails');
    await expect(writer.commit(positionAt(to), plainly)).rejects.toThrow();
    await place.database.query('ALTER TABLE syncline.link DISABLE TRIGGER fails');
    await writer.close();
    expect((await place.target.read(ref))?.position).toBe(positionAt(1));
  }

  it('leave out what they have when it comes again', async () => {
    const writer = await open();
    await writer.apply(batchOf(changesOf(followed, 3)));
    await failsToCommit(writer, 3);
    expect(await lanesAhead()).toHaveLength(2);
    const before = await count('followed');
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(30);
    const next = await open();
    await ship(next, [...changesOf(followed, 3)], 3);
    expect(await count('followed')).toBe(30);
    expect(next.state.totals.conflicts).toBe(0);
  });

  it('do not come about while changes of a table wait: loaded meanwhile, it gets all of them', async () => {
    const writer = await open();
    const waiting = changesOf(late, 3).map((change) => ({ change, reason: 'load' as const }));
    await writer.apply(batchOf(changesOf(followed, 2), { spool: waiting }));
    await failsToCommit(writer, 3);
    expect(await lanesAhead()).toEqual([]);
    const next = await open();
    await ship(next, [...changesOf(followed, 2), ...changesOf(late, 3)], 3);
    expect([await count('followed'), await count('late')]).toEqual([30, 30]);
  });

  it('do not come about beside a transaction that is set aside: tried again, it comes whole', async () => {
    const writer = await open();
    await writer.setAside(changesOf(late, 2), { code: 'target.constraint', message: 'refused' });
    await writer.apply(batchOf(changesOf(followed, 3)));
    await failsToCommit(writer, 3);
    expect(await lanesAhead()).toEqual([]);
    const next = await open();
    await ship(next, [...changesOf(late, 2), ...changesOf(followed, 3)], 3);
    expect([await count('followed'), await count('late')]).toEqual([30, 30]);
  });

  it('do not keep what waited from the table, also when its rows are not as the log says', async () => {
    const writer = await open();
    const waiting = changesOf(late, 2).map((change) => ({ change, reason: 'load' as const }));
    await writer.apply(batchOf([], { spool: waiting }));
    await writer.commit(positionAt(2), plainly);
    await ship(writer, changesOf(followed, 9), 9);
    await place.database.query('INSERT INTO late VALUES (7, 700)');
    expect(await writer.drain(drain)).toMatchObject({ applied: 30 });
    expect(await count('late')).toBe(30);
    expect(await place.database.query('SELECT v FROM late WHERE id = 7')).toEqual([{ v: 2 }]);
  });
});
