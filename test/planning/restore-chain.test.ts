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
