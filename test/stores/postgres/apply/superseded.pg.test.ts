import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Changes, int32, positionAt, relation, transaction } from './changes.ts';
import { batchOf, createLinkPlace, leaf, type LinkPlace, plainly, ref, ship } from './link.ts';

const things = relation({ schema: 'public', name: 'things' }, ['id*']);
const known = [leaf('things', ['id'], ['id'])];

/** Writers of one link that know nothing of each other. */
describe.each([18, 15] as const)('the one writer of a link, on PostgreSQL %i', (version) => {
  let place: LinkPlace;

  beforeAll(async () => {
    place = await createLinkPlace(version, 'CREATE TABLE things (id int PRIMARY KEY)');
  });
  afterAll(() => place.end());
  beforeEach(async () => {
    await place.database.query(
      `TRUNCATE things; DELETE FROM syncline.lane; UPDATE syncline.link SET position = $$${positionAt(1)}$$`,
    );
  });

  const insertsOf = (position: number): ReturnType<Changes['insert']>[] => {
    const changes = new Changes(things, transaction(position));
    return Array.from({ length: 20 }, (_each, index) => changes.insert(int32(position * 100 + index)));
  };
  const count = async (): Promise<number> => (await place.database.query('SELECT 1 FROM things')).length;
  const lockedBy = async (): Promise<number> =>
    (
      await place.database.query(
        `SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      )
    ).length;

  describe.each([1, 2, 4])('with lanes: %i', (lanes) => {
    it('ends the one before: what that had begun is gone, and it can do nothing more', async () => {
      const older = await place.writer({ lanes });
      await older.know(known);
      await ship(older, insertsOf(2), 2);
      await older.apply(batchOf(insertsOf(3)));
      const younger = await place.writer({ lanes });
      expect(younger.state.position).toBe(positionAt(2));
      expect(await count()).toBe(20);
      expect(await lockedBy()).toBe(lanes);
      await expect(older.commit(positionAt(3), plainly)).rejects.toMatchObject({
        code: 'store.connectionLost',
      });
      await younger.know(known);
      await ship(younger, insertsOf(3), 3);
      await expect(ship(older, insertsOf(3), 3)).rejects.toMatchObject({ code: 'store.connectionLost' });
      expect(await count()).toBe(40);
      expect((await place.target.read(ref))?.position).toBe(positionAt(3));
      await younger.close();
    });

    it.each([
      { what: 'another position', moved: 'position = $1', position: positionAt(5) },
      {
        what: 'another generation',
        moved: 'generation = generation + 1, position = $1',
        position: positionAt(1),
      },
    ])('that finds the link at $what is refused, and leaves nothing', async ({ moved, position }) => {
      const writer = await place.writer({ lanes });
      await writer.know(known);
      await writer.apply(batchOf(insertsOf(2)));
      await place.database.query(`UPDATE syncline.link SET ${moved}`, [position]);
      await expect(writer.commit(positionAt(2), plainly)).rejects.toMatchObject({
        code: 'target.superseded',
      });
      expect(await count()).toBe(0);
      expect((await place.target.read(ref))?.position).toBe(position);
      expect(await place.database.query(`SELECT 1 FROM syncline.lane WHERE position <> ''`)).toEqual([]);
      expect(await place.database.query(`SELECT 1 FROM syncline.batch WHERE state = 'failed'`)).toEqual([]);
      await writer.close();
    });
  });
});
