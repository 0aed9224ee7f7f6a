import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LoadStrategy, LoadUnit, TablePlan } from '../../../../stores/spi/chunk-source.ts';
import type { LoadedUnit } from '../../../../stores/spi/chunk-target.ts';
import { requireCapability, type Store } from '../../../../stores/spi/store.ts';
import { bring, inOrder, newRef, planOf, slicesOf, unitOf } from '../../../conformance/units.ts';
import { openStage, type LoadStage } from '../../../support/load-job.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { keptSource } from './kept-source.ts';

const ways: readonly LoadStrategy[] = ['swap', 'in-place', 'difference', 'delete-insert', 'append', 'upsert'];
const formats = ['binary', 'text', 'csv'] as const;

/** What COPY's formats might confuse. `\.` ended the rows of a file in versions before 18. */
const odd = [
  `(1, '')`,
  `(2, NULL)`,
  `(3, E'\\\\.')`,
  `(4, E'a\\n\\\\.\\nb')`,
  `(5, 'say "no", or "" ')`,
  `(6, E'\\r\\n\\t\\x01')`,
  `(7, 'NULL')`,
  `(8, E'\\\\N')`,
  `(9, '"')`,
  `(10, E',\\n,')`,
  `(11, repeat('long "x"', 20000))`,
].join(', ');

describe.each([
  [18, 15],
  [15, 18],
] as const)('rows of a backup of PostgreSQL %i brought to %i', (from, to) => {
  let source: TestDatabase;
  let target: TestDatabase;
  let stage: LoadStage;
  let names = 0;
  let name = '';

  beforeAll(async () => {
    [source, target] = await Promise.all([createDatabase(from), createDatabase(to)]);
    stage = openStage({ source, target }, { connections: 8 });
  });
  afterAll(async () => {
    await stage.close();
    await Promise.all([source.drop(), target.drop()]);
  });
  beforeEach(async () => {
    names += 1;
    name = `t${String(names)}`;
    for (const side of [source, target])
      await side.query(`CREATE TABLE public.${name} (id int PRIMARY KEY, v text)`);
  });

  const rowsOn = async (side: TestDatabase, what = `public.${name}`): Promise<unknown[]> =>
    await side.query(`SELECT * FROM ${what} ORDER BY 1`);
  const written = async (): Promise<unknown[]> =>
    await target.query(`SELECT ctid, xmin, id FROM public.${name} ORDER BY id`);
  const restore = async (
    plan: TablePlan,
    units: readonly LoadUnit[],
    kept?: Store,
  ): Promise<LoadedUnit[]> => {
    const ref = newRef();
    const backup = kept ?? (await keptSource(stage.stores.source, plan, units));
    await requireCapability(stage.stores.target, 'loadLedger').plans.write(ref, [plan], inOrder(units));
    const loaded: LoadedUnit[] = [];
    for (const unit of units)
      loaded.push(
        await bring({ source: backup, target: stage.stores.target, ref, plan, unit, onlyChanged: true }),
      );
    const totals = await requireCapability(stage.stores.target, 'loadLedger').totals(ref);
    expect(totals.unitsDone).toBe(units.length);
    return loaded;
  };

  it.each(formats.flatMap((format) => ways.map((strategy) => [format, strategy] as const)))(
    'travel as %s and by %s, unframed',
    async (format, strategy) => {
      await source.query(`INSERT INTO public.${name} VALUES ${odd}`);
      if (strategy !== 'append')
        await target.query(`INSERT INTO public.${name} VALUES (1, 'old'), (2, 'old')`);
      const [loaded] = await restore(planOf(name, { strategy, format }), [unitOf(name)]);
      expect(loaded).toMatchObject({ rows: 11 });
      expect(loaded?.bytes).toBeGreaterThan(100_000);
      expect(await rowsOn(target)).toEqual(await rowsOn(source));
    },
  );

  it('travel framed as CSV, a column alone too, where an empty string is not NULL', async () => {
    await source.query(`INSERT INTO public.${name} VALUES ${odd}`);
    for (const side of [source, target]) await side.query(`CREATE TABLE public.${name}_v (v text)`);
    await source.query(`INSERT INTO public.${name}_v SELECT v FROM public.${name}`);
    const { stores } = stage;
    const all = planOf(name, { strategy: 'swap', format: 'csv' });
    await bring({ ...stores, ref: newRef(), plan: all, unit: unitOf(name) });
    expect(await rowsOn(target)).toEqual(await rowsOn(source));
    const alone = planOf(`${name}_v`, { strategy: 'append', format: 'csv', columns: ['v'], key: null });
    await bring({ ...stores, ref: newRef(), plan: alone, unit: unitOf(`${name}_v`) });
    const sorted = async (side: TestDatabase): Promise<unknown[]> =>
      await side.query(`SELECT v FROM public.${name}_v ORDER BY v COLLATE "C"`);
    expect(await sorted(target)).toEqual(await sorted(source));
  });

  it.each(ways)('are left as they are when they are there already, by %s', async (strategy) => {
    await source.query(`INSERT INTO public.${name} VALUES ${odd}`);
    const plan = planOf(name, { strategy });
    await restore(plan, [unitOf(name)]);
    const before = await written();
    expect(await restore(plan, [unitOf(name)])).toMatchObject([{ rows: 11, bytes: 0 }]);
    expect(await written()).toEqual(before);
    const changed = strategy === 'append' ? 'DELETE FROM' : 'UPDATE';
    await target.query(
      changed === 'UPDATE' ? `UPDATE public.${name} SET v = 'x' WHERE id = 2` : `DELETE FROM public.${name}`,
    );
    const [again] = await restore(plan, [unitOf(name)]);
    expect(again?.bytes).toBeGreaterThan(0);
    expect(await rowsOn(target)).toEqual(await rowsOn(source));
  });

  it.each(ways)('are left as they are slice by slice or as a whole chunk, by %s', async (strategy) => {
    await source.query(`INSERT INTO public.${name} SELECT i, 'v' || i FROM generate_series(1, 40) i`);
    const meet = strategy === 'swap' || strategy === 'in-place';
    const units = slicesOf(name, [11, 21, 31], meet);
    const plan = planOf(name, { strategy });
    await restore(plan, units);
    expect(await rowsOn(target)).toEqual(await rowsOn(source));
    const before = await written();
    const kept = await restore(plan, units);
    expect(kept.map((each) => each.bytes)).toEqual(units.map(() => 0));
    expect(kept.slice(0, 4).map((each) => each.rows)).toEqual([10, 10, 10, 10]);
    expect(await written()).toEqual(before);
    const drop = strategy === 'append' ? 'DELETE FROM' : `UPDATE`;
    await target.query(
      drop === 'UPDATE'
        ? `UPDATE public.${name} SET v = 'x' WHERE id = 15`
        : `DELETE FROM public.${name} WHERE id BETWEEN 11 AND 20`,
    );
    const again = await restore(plan, units);
    // Slices that meet in a hidden table are written all or none.
    expect(again.slice(0, 4).map((each) => each.bytes > 0)).toEqual(
      meet ? [true, true, true, true] : [false, true, false, false],
    );
    expect(await rowsOn(target)).toEqual(await rowsOn(source));
  });

  it('of a big chunk are compared once, whichever slice asks first', async () => {
    await source.query(`INSERT INTO public.${name} SELECT i, 'v' || i FROM generate_series(1, 40) i`);
    await target.query(`INSERT INTO public.${name} SELECT i, 'v' || i FROM generate_series(1, 40) i`);
    const units = slicesOf(name, [11, 21, 31], true);
    const plan = planOf(name, { strategy: 'swap' });
    const kept = await keptSource(stage.stores.source, plan, units);
    const before = await written();
    const ref = newRef();
    await requireCapability(stage.stores.target, 'loadLedger').plans.write(ref, [plan], inOrder(units));
    const all = { source: kept, target: stage.stores.target, ref, plan, onlyChanged: true };
    const loaded = await Promise.all(units.slice(0, 4).map((unit) => bring({ ...all, unit })));
    expect(loaded.map((each) => [each.rows, each.bytes])).toEqual(Array.from({ length: 4 }, () => [10, 0]));
    const last = units.at(-1) ?? unitOf(name);
    expect(await bring({ ...all, unit: last })).toMatchObject({ rows: 40, bytes: 0 });
    expect(await written()).toEqual(before);
    const tables = await target.query(
      `SELECT FROM pg_class WHERE starts_with(relname, 'x_') AND relkind = 'r'`,
    );
    expect(tables).toEqual([]);
  });

  it.each(['difference', 'delete-insert', 'append', 'upsert'] as const)(
    'are filtered by the target where the backup holds more, by %s',
    async (strategy) => {
      for (const side of [source, target]) await side.query(`ALTER TABLE public.${name} ADD at timestamptz`);
      await source.query(
        `INSERT INTO public.${name} SELECT i, 'new', '2026-01-01'::timestamptz + i * interval '1 h' FROM generate_series(1, 40) i`,
      );
      await source.query(`INSERT INTO public.${name} VALUES (99, 'never', NULL)`);
      const inWindow = `at >= '2026-01-01T10:00Z' AND at < '2026-01-01T20:00Z'`;
      if (strategy !== 'append') {
        await target.query(`INSERT INTO public.${name} VALUES (1, 'old', '2026-01-01T01:00Z'),
          (12, 'old', '2026-01-01T12:00Z'), (98, 'gone', '2026-01-01T13:00Z'), (30, 'moved', '2026-01-01T14:00Z')`);
      }
      const window = { column: 'at', from: '2026-01-01T10:00:00.000Z', to: '2026-01-01T20:00:00.000Z' };
      const columns = ['id', 'v', 'at'];
      const kept = await keptSource(stage.stores.source, planOf(name, { strategy, columns }), [unitOf(name)]);
      const plan = planOf(name, { strategy, columns, window, filteredOnTarget: true });
      const [loaded] = await restore(plan, [unitOf(name)], kept);
      expect(loaded).toMatchObject({ rows: 10, digest: null });
      const outside = await target.query<{ id: number; v: string }>(
        `SELECT id, v FROM public.${name} WHERE (${inWindow}) IS NOT TRUE`,
      );
      expect(outside).toEqual(strategy === 'append' ? [] : [{ id: 1, v: 'old' }]);
      const inside = `(SELECT * FROM public.${name} WHERE ${inWindow} AND v = 'new') AS inside`;
      expect(await rowsOn(target, inside)).toEqual(await rowsOn(source, inside));
      const left = await target.query(
        `SELECT id FROM public.${name} WHERE ${inWindow} AND v <> 'new' ORDER BY id`,
      );
      expect(left).toEqual(strategy === 'upsert' ? [{ id: 30 }, { id: 98 }] : []);
    },
  );
});
