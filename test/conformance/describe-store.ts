import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UnitFailure } from '../../definitions/contracts/copy.ts';
import type { LoadStrategy, LoadUnit, TablePlan } from '../../stores/spi/chunk-source.ts';
import type { LoadLedger } from '../../stores/spi/load-ledger.ts';
import { requireCapability, type Store } from '../../stores/spi/store.ts';
import { bring, inOrder, newRef, type OneUnit, planOf, slicesOf, unitOf } from './units.ts';

/** Two stores of one kind, with tables `(id int primary key, v text)` made and read by means of the store's own. */
export interface StorePair {
  readonly source: Store;
  readonly target: Store;
  /** A fresh table on both sides with these rows. */
  table(name: string, rows: { readonly source: Rows; readonly target: Rows }): Promise<void>;
  rowsOf(side: 'source' | 'target', table: string): Promise<Rows>;
  /** Tables, sessions in a transaction and locks of ours on the target, in words. */
  leftovers(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export type Rows = readonly (readonly [id: number, v: string | null])[];

export function numbered(from: number, to: number, text: string): Rows {
  return Array.from({ length: to - from + 1 }, (_, index) => [
    from + index,
    `${text} ${String(from + index)}`,
  ]);
}

const strategies: readonly LoadStrategy[] = [
  'swap',
  'in-place',
  'difference',
  'delete-insert',
  'append',
  'upsert',
];

/** What each store that can be both ends must do. Written once; a store calls it with its own tables. */
export function describeStore(kind: string, open: () => Promise<StorePair>): void {
  describe(`${kind} keeps the contracts of a chunk source, a chunk target and a ledger`, () => {
    let pair: StorePair;
    let names = 0;

    beforeAll(async () => {
      pair = await open();
    });
    afterAll(() => pair.close());

    const ledgerOf = (): LoadLedger => requireCapability(pair.target, 'loadLedger');
    const fresh = async (source: Rows, target: Rows): Promise<string> => {
      names += 1;
      await pair.table(`t${String(names)}`, { source, target });
      return `t${String(names)}`;
    };
    const old = numbered(5, 30, 'old');
    const rows = numbered(1, 20, 'new');
    const after = (strategy: LoadStrategy): Rows =>
      strategy === 'upsert' || strategy === 'append' ? [...rows, ...old.slice(16)] : rows;
    const before = (strategy: LoadStrategy): Rows => (strategy === 'append' ? old.slice(16) : old);

    const write = async (
      one: Pick<OneUnit, 'ref'> & { plan: TablePlan; units: readonly LoadUnit[] },
    ): Promise<void> => {
      await ledgerOf().plans.write(one.ref, [one.plan], inOrder(one.units));
    };

    it.each(strategies)('%s brings a whole chunk, and repeating it changes nothing', async (strategy) => {
      const name = await fresh(rows, before(strategy));
      const one = {
        source: pair.source,
        target: pair.target,
        ref: newRef(),
        plan: planOf(name, { strategy }),
        unit: unitOf(name),
      };
      await write({ ...one, units: [one.unit] });
      const first = await bring(one);
      expect(first.rows).toBe(20);
      expect(await pair.rowsOf('target', name)).toEqual(after(strategy));
      expect(await bring({ ...one, attempt: 2 })).toEqual(first);
      expect(await pair.rowsOf('target', name)).toEqual(after(strategy));
      expect(await ledgerOf().totals(one.ref)).toMatchObject({ unitsDone: 1, rows: 20 });
      expect(await pair.leftovers()).toEqual([]);
    });

    it.each(strategies)('%s brings a chunk by slices, in any order and twice', async (strategy) => {
      const name = await fresh(rows, before(strategy));
      const finish = strategy === 'swap' || strategy === 'in-place';
      const plan = planOf(name, { strategy });
      const units = slicesOf(name, [6, 11, 16], finish);
      const ref = newRef();
      await write({ ref, plan, units });
      const slices = units.filter((unit) => unit.kind === 'slice').reverse();
      await Promise.all(slices.map((unit) => bring({ ...pair, ref, plan, unit })));
      if (finish) expect(await pair.rowsOf('target', name)).toEqual(old);
      for (const unit of units) await bring({ ...pair, ref, plan, unit, attempt: 2 });
      // What the source does not have any more goes with the slice that holds its place.
      expect(await pair.rowsOf('target', name)).toEqual(after(strategy));
      expect(await ledgerOf().totals(ref)).toMatchObject({ unitsDone: units.length, rows: 20 });
      expect(await pair.leftovers()).toEqual([]);
    });

    it.each(strategies)('%s leaves everything as it was when it ends at any step', async (strategy) => {
      const name = await fresh(rows, before(strategy));
      const plan = planOf(name, { strategy });
      const unit = unitOf(name);
      for (const point of ['load.mid', 'load.copied', 'swap.beforeCommit'] as const) {
        for (const how of ['throws', 'is cancelled'] as const) {
          const ref = newRef();
          const stop = new AbortController();
          const fault = (reached: string): Promise<void> => {
            if (reached !== point) return Promise.resolve();
            if (how === 'is cancelled') stop.abort();
            return Promise.reject(new Error('asked for'));
          };
          await expect(
            bring({ ...pair, ref, plan, unit, fault, signal: stop.signal }),
            `${point} ${how}`,
          ).rejects.toThrow();
          expect(await pair.rowsOf('target', name)).toEqual(before(strategy));
          expect(await ledgerOf().totals(ref)).toMatchObject({ unitsDone: 0, rows: 0 });
        }
      }
      expect(await pair.leftovers()).toEqual([]);
    });

    it('ends an older attempt of the same unit, and one of the two is in the ledger', async () => {
      const name = await fresh(rows, old);
      const one = { ...pair, ref: newRef(), plan: planOf(name, { strategy: 'append' }), unit: unitOf(name) };
      await write({ ...one, units: [one.unit] });
      let release: () => void = () => undefined;
      const reached = new Promise<void>((started) => {
        release = started;
      });
      const name2 = await fresh(rows, []);
      const unit = { ...one, plan: planOf(name2, { strategy: 'append' }), unit: unitOf(name2) };
      await write({ ...unit, ref: { ...unit.ref, load: 'run:two' }, units: [unit.unit] });
      const ref = { ...unit.ref, load: 'run:two' };
      let go: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        go = resolve;
      });
      const hang = async (point: string): Promise<void> => {
        if (point !== 'load.copied') return;
        release();
        await held;
      };
      const older = bring({ ...unit, ref, fault: hang }).then(
        () => 'done',
        (error: unknown) => error,
      );
      await reached;
      expect((await bring({ ...unit, ref, attempt: 2 })).rows).toBe(20);
      go();
      expect(await older).toBeInstanceOf(Error);
      expect(await pair.rowsOf('target', name2)).toEqual(rows);
    });

    it('replaces only the rows of a half-open window, and windows side by side make the whole', async () => {
      const name = await fresh(rows, [...numbered(1, 20, 'old'), [99, 'stays']]);
      const windows: readonly (readonly [string | null, string | null])[] = [
        ['6', '11'],
        [null, '6'],
        ['11', '21'],
      ];
      let done: Rows = [];
      for (const [from, to] of windows) {
        const plan = planOf(name, { strategy: 'delete-insert', window: { column: 'id', from, to } });
        const loaded = await bring({ ...pair, ref: newRef(), plan, unit: unitOf(name) });
        done = [
          ...done,
          ...rows.filter(([id]) => (from === null || id >= Number(from)) && (to === null || id < Number(to))),
        ];
        expect(loaded.rows).toBe(
          rows.filter(([id]) => (from === null || id >= Number(from)) && (to === null || id < Number(to)))
            .length,
        );
        expect((await pair.rowsOf('target', name)).filter(([, v]) => v?.startsWith('new'))).toHaveLength(
          done.length,
        );
      }
      expect(await pair.rowsOf('target', name)).toEqual([...rows, [99, 'stays']]);
    });

    it('obeys a filter that ends in a comment', async () => {
      const name = await fresh(rows, old);
      const plan = planOf(name, { strategy: 'delete-insert', where: 'id % 2 = 0 -- even' });
      expect((await bring({ ...pair, ref: newRef(), plan, unit: unitOf(name) })).rows).toBe(10);
      const odd = old.filter(([id]) => id % 2 === 1);
      const even = rows.filter(([id]) => id % 2 === 0);
      expect(await pair.rowsOf('target', name)).toEqual([...odd, ...even].sort((a, b) => a[0] - b[0]));
    });

    it('says no value of a row in any error', async () => {
      const name = await fresh([[1, 'topsecret']], [[1, 'x']]);
      const plan = planOf(name, { strategy: 'append' });
      const failure: unknown = await bring({ ...pair, ref: newRef(), plan, unit: unitOf(name) }).catch(
        (error: unknown) => error,
      );
      expect(failure).toMatchObject({ code: 'target.constraint' });
      const { message, details } = failure as { message: string; details: unknown };
      expect(message + JSON.stringify(details)).not.toMatch(/topsecret|\(1\)|=\s*1\b/);
    });

    it('refuses to complete a chunk with a slice missing', async () => {
      const name = await fresh(rows, old);
      const plan = planOf(name, { strategy: 'swap' });
      const units = slicesOf(name, [10], true);
      const ref = newRef();
      await write({ ref, plan, units });
      await bring({ ...pair, ref, plan, unit: units[0] ?? unitOf(name) });
      await expect(bring({ ...pair, ref, plan, unit: units[2] ?? unitOf(name) })).rejects.toMatchObject({
        code: 'source.chunkChanged',
      });
      await requireCapability(pair.target, 'chunkTarget').removeStaging(ref.job);
      expect(await pair.leftovers()).toEqual([]);
    });

    it('keeps a plan of 100,000 units, in pages that do not depend on where they begin', async () => {
      const ref = newRef();
      const plan = planOf('none', { strategy: 'append' });
      const units = function* (): Generator<LoadUnit> {
        for (let i = 1; i <= 100_000; i += 1)
          yield unitOf('none', {
            ordinal: i,
            kind: 'slice',
            slice: i,
            bytes: (i * 7919) % 300_000,
            bound: 'a\tb\\N\n',
          });
      };
      const totals = await ledgerOf().plans.write(ref, [plan], inOrder(units()));
      expect(totals).toMatchObject({ units: 100_000, chunks: 1, tables: 1 });
      expect(await ledgerOf().plans.write(ref, [], inOrder([]))).toEqual(totals);
      expect((await ledgerOf().plans.read(ref))?.tables).toEqual([plan]);
      expect(await ledgerOf().plans.units(ref, 99_999, 200_000)).toMatchObject([
        { ordinal: 99_999, bound: 'a\tb\\N\n' },
        { ordinal: 100_000 },
      ]);
      const paged = async (limit: number): Promise<readonly number[]> => {
        const ends: number[] = [];
        for (let after = 0; ;) {
          const page = await ledgerOf().plans.batches({ ref, after, limit, onlyMissing: false });
          ends.push(...page.batches.map((batch) => batch.to));
          after = page.next;
          if (page.end) return ends;
        }
      };
      const whole = await paged(1_000);
      expect(whole.at(-1)).toBe(100_000);
      expect(await paged(7)).toEqual(whole);
      await ledgerOf().forget(ref.job);
    });

    it('remembers what was set aside, moves the watermark forward only, and forgets a job wholly', async () => {
      const name = await fresh(rows, []);
      const ref = newRef();
      const plan = planOf(name, { strategy: 'append' });
      await write({ ref, plan, units: slicesOf(name, [10], false) });
      const failure: UnitFailure = {
        ordinal: 2,
        chunk: `public.${name}`,
        code: 'target.constraint',
        message: 'A row breaks it.',
      };
      await ledgerOf().deadLetters.put(ref, failure);
      await ledgerOf().deadLetters.put(ref, failure);
      expect(await ledgerOf().deadLetters.list(ref, 10)).toEqual([{ ...failure, slice: 2 }]);
      expect(await ledgerOf().totals(ref)).toMatchObject({ unitsSkipped: 1 });
      const page = await ledgerOf().plans.batches({ ref, after: 0, limit: 10, onlyMissing: true });
      expect(page).toMatchObject({
        batches: [
          { from: 1, to: 1 },
          { from: 2, to: 2 },
        ],
        end: true,
      });
      await ledgerOf().deadLetters.clear(ref, 2);
      expect(await ledgerOf().deadLetters.list(ref, 10)).toEqual([]);
      const { watermarks } = ledgerOf();
      expect(await watermarks.get(ref.job)).toBeNull();
      for (const to of ['2026-01-02T00:00:00.000Z', '2026-01-03T00:00:00.000Z', '2026-01-01T00:00:00.000Z'])
        await watermarks.advance(ref.job, to, ref.load);
      expect(await watermarks.get(ref.job)).toBe('2026-01-03T00:00:00.000Z');
      await ledgerOf().forget(ref.job);
      expect(await ledgerOf().plans.read(ref)).toBeNull();
      expect(await ledgerOf().plans.all(ref.job)).toEqual([]);
      expect(await watermarks.get(ref.job)).toBeNull();
      // Another worker may have dropped the ledger with its last job; the next plan makes it anew.
      await write({ ref, plan, units: slicesOf(name, [10], false) });
      expect((await ledgerOf().plans.latest(ref.job))?.totals.units).toBe(2);
    });
  });
}
