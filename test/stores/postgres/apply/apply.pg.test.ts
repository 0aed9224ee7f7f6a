import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogChange } from '../../../../stores/spi/log.ts';
import { Changes, int32, positionAt, relation, text, transaction, unchanged } from './changes.ts';
import { batchOf, createLinkPlace, leaf, type LinkPlace, plainly, ref, ship } from './link.ts';

const things = relation({ schema: 'public', name: 'things' }, ['id*', 'name', 'note']);

describe.each([18, 15] as const)('a batch on PostgreSQL %i', (version) => {
  let place: LinkPlace;
  beforeAll(async () => {
    place = await createLinkPlace(
      version,
      `CREATE TABLE things (id int PRIMARY KEY, name text, note text, own text DEFAULT 'mine')`,
    );
  });
  afterAll(async () => place.end());

  const rows = async (): Promise<string[]> => {
    const found = await place.database.query<{ row: string }>(
      `SELECT concat_ws('|', id, name, note, own) AS row FROM things ORDER BY id`,
    );
    return found.map(({ row }) => row);
  };

  it('puts its changes and the position of the link into one transaction', async () => {
    const writer = await place.writer();
    await writer.know([leaf('things', ['id', 'name', 'note'], ['id'])]);
    const first = new Changes(things, transaction(2));
    await writer.apply(
      batchOf([
        first.insert(int32(1), text('a'), text('n')),
        first.insert(int32(2), text('b'), null),
        first.insert(int32(3), text('c'), null),
        first.delete(int32(3), null, null),
      ]),
    );
    expect(await rows()).toEqual([]);
    expect((await place.target.read(ref))?.position).toBe(positionAt(1));
    const state = await writer.commit(positionAt(2), plainly);
    expect(await rows()).toEqual(['1|a|n|mine', '2|b|mine']);
    expect(state).toMatchObject({
      position: positionAt(2),
      appliedCommitAtMs: 2_000,
      totals: { transactions: 1, changes: 4, applied: 4, conflicts: 0, bytes: 100 },
    });
    const second = new Changes(things, transaction(3));
    await ship(
      writer,
      [
        second.update(int32(1), text('A'), unchanged),
        second.updateFrom([int32(2), null, null], [int32(4), text('B'), text('m')]),
      ],
      3,
    );
    expect(await rows()).toEqual(['1|A|n|mine', '4|B|m|mine']);
    expect(await place.target.read(ref)).toEqual(writer.state);
    await writer.close();
  });

  it('leaves nothing behind when it is rolled back', async () => {
    const before = await rows();
    const writer = await place.writer();
    await writer.know([leaf('things', ['id', 'name', 'note'], ['id'])]);
    const changes = new Changes(things, transaction(4));
    const batch = [changes.insert(int32(9), text('x'), null), changes.update(int32(1), text('Z'), unchanged)];
    await writer.apply(batchOf(batch));
    await writer.rollback();
    expect(await rows()).toEqual(before);
    const state = await ship(writer, batch, 4);
    expect(state.totals.conflicts).toBe(0);
    expect(await rows()).toEqual(['1|Z|n|mine', '4|B|m|mine', '9|x|mine']);
    await writer.close();
  });

  it('keeps what cannot be applied yet, and applies it later in order', async () => {
    const writer = await place.writer();
    await writer.know([leaf('things', ['id', 'name', 'note'], ['id'])]);
    const changes = new Changes(things, transaction(5));
    const waiting = [
      changes.insert(int32(20), text('w'), null),
      changes.update(int32(20), text('v'), text('later')),
      changes.delete(int32(9), null, null),
    ];
    await writer.apply(
      batchOf([], { spool: waiting.map((change) => ({ change, reason: 'load' as const })) }),
    );
    const spooled = await writer.commit(positionAt(5), plainly);
    expect(spooled.totals).toMatchObject({ spooledChanges: 3 });
    expect(spooled.totals.spooledBytes).toBeGreaterThan(100);
    const seen: string[] = [];
    const drain = {
      leaves: ['public.things'],
      limit: 2,
      leafOf: () => leaf('things', ['id', 'name', 'note'], ['id']),
      admit: (change: (typeof waiting)[number]) => {
        seen.push(change.kind);
        return change.kind === 'delete' ? [] : [change];
      },
    };
    expect(await writer.drain({ ...drain, leaves: ['public.others'] })).toEqual({
      applied: 0,
      filtered: 0,
      more: false,
    });
    expect(await writer.drain(drain)).toEqual({ applied: 2, filtered: 0, more: true });
    expect(await writer.drain(drain)).toEqual({ applied: 0, filtered: 1, more: false });
    expect(seen).toEqual(['insert', 'update', 'delete']);
    expect(await rows()).toContain('20|v|later|mine');
    expect(writer.state.totals).toMatchObject({ spooledChanges: 0, spooledBytes: 0 });
    await writer.close();
  });

  it('takes all that waits, however thinly it is spread and whatever joins it meanwhile', async () => {
    const writer = await place.writer();
    const changes = new Changes(things, transaction(15));
    const others = new Changes({ ...things, name: { schema: 'public', name: 'others' } }, transaction(15));
    const spool = async (position: number, count: number): Promise<void> => {
      const waiting = Array.from({ length: count }, (_each, index) => [
        ...Array.from({ length: 9 }, () => others.insert(int32(1), text('o'), null)),
        changes.insert(int32(1000 * position + index), text('t'), null),
      ]).flat();
      const all = waiting.map((change) => ({ change, reason: 'load' as const }));
      await writer.apply(batchOf([], { spool: all }));
      await writer.commit(positionAt(position), plainly);
    };
    const drain = {
      leaves: ['public.things'],
      limit: 20,
      leafOf: () => leaf('things', ['id', 'name', 'note'], ['id']),
      admit: (change: LogChange) => [change],
    };
    const before = (await rows()).length;
    await spool(16, 40);
    let portions = 1;
    for (; (await writer.drain(drain)).more; portions += 1) if (portions === 2) await spool(17, 40);
    await spool(18, 1);
    expect(await writer.drain(drain)).toEqual({ applied: 1, filtered: 0, more: false });
    expect((await rows()).length).toBe(before + 81);
    expect(portions).toBeLessThan(20);
    expect(writer.state.totals.spooledChanges).toBe(81 * 9);
    await writer.close();
    const again = await place.writer();
    await again.apply(
      batchOf([], { spool: [{ change: changes.delete(int32(16000), null, null), reason: 'load' }] }),
    );
    await again.commit(positionAt(19), plainly);
    expect(await again.drain(drain)).toEqual({ applied: 1, filtered: 0, more: false });
    expect((await rows()).length).toBe(before + 80);
    await again.close();
  });
});
