import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChainedBackup, nextOfChain, restoreChain } from '../../planning/restore-chain.ts';

const full = (backup: string): ChainedBackup => ({ backup, scope: 'full' });
const window = (backup: string): ChainedBackup => ({ backup, scope: 'window' });

describe('the latest state', () => {
  it('is the newest full backup and every window after it, in order', () => {
    const backups = [window('e'), full('c'), window('d'), full('a'), window('b')];
    expect(restoreChain(backups)).toEqual(['c', 'd', 'e']);
  });

  it('is all windows where there is no full backup', () => {
    expect(restoreChain([window('c'), window('a'), window('b')])).toEqual(['a', 'b', 'c']);
  });
});

describe('a window that a later one covers', () => {
  const of = (
    backup: string,
    [from, to]: readonly [string | null, string | null],
    table = 't',
  ): ChainedBackup => ({
    backup,
    scope: 'window',
    windows: [{ table, window: { column: 'ts', from, to } }],
  });

  it('is no part of the latest state: its run was not verified', () => {
    expect(restoreChain([of('a', ['1', '2']), of('b', ['1', '3']), of('c', ['3', '4'])])).toEqual(['b', 'c']);
    expect(restoreChain([of('a', ['1', '2']), of('b', [null, '3'])])).toEqual(['b']);
  });

  it('is one only if all of it is covered, and of the same table', () => {
    expect(restoreChain([of('a', ['1', '3']), of('b', ['2', '4'])])).toEqual(['a', 'b']);
    expect(restoreChain([of('a', [null, '2']), of('b', ['1', '3'])])).toEqual(['a', 'b']);
    expect(restoreChain([of('a', ['1', '2'], 'u'), of('b', ['1', '3'])])).toEqual(['a', 'b']);
    expect(restoreChain([full('a'), of('b', ['1', '2'])])).toEqual(['a', 'b']);
  });

  it('is one when units of the later one were set aside', () => {
    const torn = { ...of('b', ['1', '3']), skippedUnits: 1 };
    expect(restoreChain([of('a', ['1', '2']), torn])).toEqual(['a', 'b']);
  });
});

describe('what is restored next', () => {
  it('is the oldest that the target lacks, and the newest once it has all', () => {
    expect(nextOfChain(['a', 'b', 'c'], new Set(['a']))).toEqual({ backup: 'b', waiting: ['c'] });
    expect(nextOfChain(['a', 'b'], new Set(['a', 'b']))).toEqual({ backup: 'b', waiting: [] });
    expect(nextOfChain([], new Set())).toBeNull();
  });

  it('brings every backup of the chain once and in order, wherever a restore is interrupted', () => {
    const scopes = fc.array(fc.constantFrom<ChainedBackup['scope']>('full', 'window'), { minLength: 1 });
    const crashes = fc.infiniteStream(fc.boolean());
    fc.assert(
      fc.property(scopes, crashes, (kinds, crash) => {
        const backups = kinds.map((scope, index) => ({ backup: String(index).padStart(3, '0'), scope }));
        const chain = restoreChain([...backups].reverse());
        const held = new Set<string>();
        const done: string[] = [];
        for (let tries = 0; tries < 1_000; tries += 1) {
          const next = nextOfChain(chain, held);
          if (next === null || held.has(next.backup)) break;
          if (crash.next().value === true) continue;
          held.add(next.backup);
          done.push(next.backup);
        }
        expect(done).toEqual(chain);
      }),
    );
  });
});
