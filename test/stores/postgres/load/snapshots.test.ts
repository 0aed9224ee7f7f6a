import { describe, expect, it } from 'vitest';
import {
  parseSnapshot,
  seesAllOf,
  writtenSince,
  type Snapshot,
} from '../../../../stores/postgres/load/snapshots.ts';

function snapshot(text: string): Snapshot {
  const found = parseSnapshot(text);
  if (found === null) throw new Error(`${text} is no snapshot.`);
  return found;
}

describe('snapshots', () => {
  it('are read from their text, and nothing else is', () => {
    expect(snapshot('10:20:12,15')).toEqual({ xmin: 10n, xmax: 20n, running: new Set([12n, 15n]) });
    expect(snapshot('18446744073709551610:18446744073709551615:').xmax).toBe(18446744073709551615n);
    for (const text of ['', '10', '10:20', '10:20:,', '10:20:1,', 'a:b:', '-1:2:', '1:2:3:4', '1:2:3\n'])
      expect(parseSnapshot(text), text).toBeNull();
  });

  it.each([
    ['10:20:10', '10:20:10', true, true],
    ['10:30:10', '10:20:10', true, true],
    ['10:30:10', '10:20:10', false, false],
    ['20:30:25', '10:20:10', false, true],
    ['10:30:10', '10:20:', true, false],
    ['10:19:', '10:20:', true, false],
    ['12:30:12', '10:20:10', true, false],
    ['21:30:21', '10:20:', true, true],
  ])('%s after %s, all known to run: %s: sees the same is %s', (later, earlier, complete, sees) => {
    expect(seesAllOf(snapshot(later), snapshot(earlier), complete)).toBe(sees);
  });

  it('ask for no row when no transaction came between, and give up when too many did', () => {
    expect(writtenSince(snapshot('20:20:'), snapshot('20:20:'))).toBe('false');
    expect(writtenSince(snapshot('4294967296:4294967296:'), snapshot('1:1:'))).toBeNull();
    expect(writtenSince(snapshot('2147000000:2147000000:'), snapshot('1:1:'))).toBeNull();
    expect(writtenSince(snapshot('2146000000:2146000000:'), snapshot('1:1:'))).toContain('AND');
    expect(writtenSince(snapshot('4294967400:4294967400:'), snapshot('4294967000:4294967000:'))).toContain(
      'OR',
    );
  });
});
