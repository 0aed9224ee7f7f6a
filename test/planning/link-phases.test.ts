import { describe, expect, it } from 'vitest';
import type { LinkProgress } from '../../definitions/contracts/duplication.ts';
import { type LinkFacts, linkStatusOf } from '../../planning/link-phases.ts';

const progress: LinkProgress = {
  ...{ position: '0/1', consistentAt: '0/1', lagMs: 5, lagBytes: 100, retainedBytes: 1_000 },
  ...{ spooledChanges: 0, spooledBytes: 0, transactions: 0, changes: 0, applied: 0, filtered: 0 },
  ...{
    deadTransactions: 0,
    conflicts: 0,
    bytes: 0,
    lastPullAt: null,
    way: 'stream',
    tables: [],
    danger: null,
  },
};

const well: LinkFacts = {
  ...{ target: 'dr', step: 'log', generation: 1, because: null, busy: true, progress },
  ...{ paused: false, pauseReason: null, stopped: null, removing: false, promoting: false, ended: null },
  ...{ failed: false, trouble: null, overdue: null, unitsSkipped: 0, lateReports: 0, laggingAfterMs: 10_000 },
  retention: { maxLogBytes: 10_000_000, onExceed: 'stop' },
};

function status(facts: Partial<LinkFacts>) {
  return linkStatusOf({ ...well, ...facts });
}

describe('the phase of a link', () => {
  it.each([
    [{ step: 'init' }, 'init', 'DS_INIT'],
    [{ step: 'checkpoint' }, 'checkpoint', 'DS_PREPARE'],
    [{ step: 'load' }, 'load', 'DS_APP'],
    [{ step: 'log' }, 'log', 'DS_LOG'],
    [{ paused: true, busy: false }, 'paused', 'DS_PAUSE'],
    [{ paused: true, busy: true }, 'log', 'DS_LOG'],
    [{ stopped: { code: 'log.gap', message: 'm' } }, 'stopped', 'DS_PAUSE'],
    [{ ended: { as: 'removed', leftBehind: [], warnings: [] } }, 'removed', 'DS_REMOVED'],
    [{ ended: { as: 'promoted', leftBehind: [], warnings: [] } }, 'done', 'DS_REMOVED'],
  ] as [Partial<LinkFacts>, string, string][])('with %j is %s, in Pegasus %s', (facts, phase, pegasus) => {
    expect(status(facts)).toMatchObject({ phase, pegasusPhase: pegasus });
  });

  it('shows a stop before a pause, and a removal before both', () => {
    const stopped = { code: 'log.gap', message: 'm' } as const;
    expect(status({ paused: true, busy: false, stopped }).state).toBe('stopped');
    expect(status({ paused: true, busy: false, stopped, removing: true })).toMatchObject({
      state: 'running',
      reason: 'It is being removed.',
    });
  });
});

describe('the reason of a link', () => {
  it('is none when all is well', () => {
    expect(status({})).toMatchObject({
      state: 'running',
      needsAttention: false,
      reason: null,
      reasonCode: null,
    });
  });

  it('is never empty while it is held', () => {
    expect(status({ paused: true, busy: true }).reason).toContain('in flight');
    expect(status({ paused: true, busy: false }).reason).toBe(
      'Paused; the source keeps 0.0 MB of log for it.',
    );
    expect(status({ paused: true, busy: false, progress: null }).reason).toBe('Paused.');
    expect(status({ paused: true, busy: false, pauseReason: 'tonight' }).reason).toBe('tonight');
    expect(status({ promoting: true }).reason).toContain('promoted');
  });

  it('of a stop is what stopped it', () => {
    const stopped = { code: 'log.gap', message: 'There is a gap.' } as const;
    expect(status({ stopped })).toMatchObject({
      needsAttention: true,
      reason: 'There is a gap.',
      reasonCode: 'log.gap',
    });
  });

  it('of a failure asks for attention when a person is needed, or when it lasts', () => {
    const trouble = { code: 'store.unreachable', message: 'down', attempts: 1 } as const;
    expect(status({ trouble })).toMatchObject({ needsAttention: false, reason: 'down' });
    expect(status({ trouble: { ...trouble, attempts: 3 } }).needsAttention).toBe(true);
    expect(status({ trouble: { ...trouble, code: 'log.schemaChanged' } }).needsAttention).toBe(true);
  });

  it('says what the source keeps from half of the limit on, and asks for attention near it', () => {
    const kept = (retainedBytes: number) => status({ progress: { ...progress, retainedBytes } });
    expect(kept(4_900_000).reason).toBeNull();
    expect(kept(5_000_000)).toMatchObject({ needsAttention: false });
    expect(kept(5_000_000).reason).toContain('5.0 MB of log are kept');
    expect(kept(8_000_000).needsAttention).toBe(true);
    const alarm = status({
      progress: { ...progress, retainedBytes: 8_000_000 },
      retention: { maxLogBytes: 10_000_000, onExceed: 'alarm' },
    });
    expect(alarm.reason).toContain('nothing limits it');
  });

  it('says what is near the limit while it is paused, too', () => {
    const facts = { paused: true, busy: false, progress: { ...progress, retainedBytes: 9_000_000 } };
    expect(status(facts)).toMatchObject({ state: 'paused', needsAttention: true });
  });

  it('passes on what endangers the slot', () => {
    expect(status({ progress: { ...progress, danger: 'unreserved' } })).toMatchObject({
      needsAttention: true,
      reason: 'unreserved',
    });
  });

  it('says lag, and asks for attention when it lasts', () => {
    const late = { progress: { ...progress, lagMs: 12_000, lagBytes: 2_000_000_000 } };
    expect(status({ ...late, lateReports: 1 })).toMatchObject({
      needsAttention: false,
      reason: 'It is 12.0 s behind, 2.0 GB of log are to come; `log.laggingAfter` is 10.0 s.',
    });
    expect(status({ ...late, lateReports: 3 }).needsAttention).toBe(true);
    expect(status({ ...late, paused: true, busy: false }).reason).toContain('Paused');
  });

  it('says what is not on the target as it is on the source', () => {
    const tables = (['failing', 'failing', 'paused'] as const).map((state, at) => ({
      ...{ table: `t${at}`, state, code: 'target.constraint' as const, message: 'refused' },
    }));
    expect(status({ progress: { ...progress, tables } })).toMatchObject({
      needsAttention: true,
      reason: 't0 (and 1 more) is failing: refused',
      reasonCode: 'target.constraint',
    });
    expect(status({ progress: { ...progress, deadTransactions: 2 } }).reason).toContain('2 transaction(s)');
    expect(status({ unitsSkipped: 4 })).toMatchObject({ needsAttention: true });
    expect(status({ progress: { ...progress, tables: tables.slice(2) } }).needsAttention).toBe(false);
  });

  it('says why everything is loaded again until it is there again', () => {
    const because = { code: 'log.slotLost', message: 'The slot is gone.' } as const;
    expect(status({ because, step: 'load' })).toMatchObject({
      needsAttention: false,
      reason: 'Everything is loaded again: The slot is gone.',
      reasonCode: 'log.slotLost',
    });
    expect(status({ because, step: 'log' }).reason).toBeNull();
  });

  it('says what has been awaited for too long, and with a removal, too', () => {
    const overdue = { message: 'The barrier.', needsAttention: false };
    expect(status({ step: 'checkpoint', overdue }).reason).toBe('The barrier.');
    expect(status({ removing: true, overdue }).reason).toBe('It is being removed. The barrier.');
  });

  it('of an end is what was left behind', () => {
    const ended = { as: 'removed', leftBehind: ['The slot stays.'], warnings: [] } as const;
    expect(status({ ended })).toMatchObject({ needsAttention: false, reason: 'The slot stays.' });
  });

  it('shows what asks for attention before what is only a note', () => {
    const noted = { step: 'load', because: { code: 'log.gap', message: 'm' } } as const;
    expect(status({ ...noted, unitsSkipped: 1 }).reason).toContain('set aside');
  });
});
