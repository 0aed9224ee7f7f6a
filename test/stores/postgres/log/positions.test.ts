import { describe, expect, it } from 'vitest';
import {
  lsnOf,
  positionAfter,
  positionOfLsn,
  positionOrStart,
  reachedWhenIdle,
} from '../../../../stores/postgres/log/positions.ts';
import { bytesBetween, logStart } from '../../../../stores/spi/log.ts';

describe('positions', () => {
  it('are LSNs that compare as text', () => {
    expect(positionOfLsn('1/4F2A')).toBe('0000000100004f2a');
    expect(lsnOf('0000000100004f2a')).toBe('1/4F2A');
    expect(lsnOf(positionOfLsn('FFFFFFFF/FFFFFFF8'))).toBe('FFFFFFFF/FFFFFFF8');
    const texts = ['9/FFFFFFFF', 'A/0', '10/0', '10/A'].map(positionOfLsn);
    expect([...texts].sort()).toEqual(texts);
    expect(positionOrStart(null)).toBe(logStart);
  });

  it('have bytes between them', () => {
    expect(bytesBetween(positionOfLsn('0/FFFFFFFF'), positionOfLsn('1/F'))).toBe(16);
    expect(bytesBetween(positionOfLsn('1/F'), positionOfLsn('0/FFFFFFFF'))).toBe(0);
    expect(positionAfter(positionOfLsn('0/FFFFFFFF'), 16)).toBe(positionOfLsn('1/F'));
  });

  it('behind the header of a page are reached at its start, where an idle log stands', () => {
    expect(reachedWhenIdle(positionOfLsn('0/2018'))).toBe(positionOfLsn('0/2000'));
    expect(reachedWhenIdle(positionOfLsn('0/1000028'))).toBe(positionOfLsn('0/1000000'));
    for (const lsn of ['0/2020', '0/2028', '0/2000', '0/1000018'])
      expect(lsnOf(reachedWhenIdle(positionOfLsn(lsn)))).toBe(lsn === '0/1000018' ? '0/1000000' : lsn);
  });
});
