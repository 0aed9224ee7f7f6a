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
    { later: '10:20:10', earlier: '10:20:10', complete: true, sees: true },
    { later: '10:30:10', earlier: '10:20:10', complete: true, sees: true },
    { later: '10:30:10', earlier: '10:20:10', complete: false, sees: false },
    { later: '20:30:25', earlier: '10:20:10', complete: false, sees: true },
    { later: '10:30:10', earlier: '10:20:', complete: true, sees: false },
    { later: '10:19:', earlier: '10:20:', complete: true, sees: false },
    { later: '12:30:12', earlier: '10:20:10', complete: true, sees: false },
    { later: '21:30:21', earlier: '10:20:', complete: true, sees: true },
  ])('$later after $earlier, all known to run: $complete: sees the same is $sees', (pair) => {
    expect(seesAllOf(snapshot(pair.later), snapshot(pair.earlier), pair.complete)).toBe(pair.sees);
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
