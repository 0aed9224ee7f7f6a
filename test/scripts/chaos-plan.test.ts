import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backupPlanOf, jobOptionsOf } from '../../scripts/chaos/backup-plan.ts';
import { describeLinkFault } from '../../scripts/chaos/duplication-faults.ts';
import { duplicationPlanOf } from '../../scripts/chaos/duplication-plan.ts';
import { readOptions } from '../../scripts/chaos/options.ts';
import { planOf } from '../../scripts/chaos/plan.ts';
import { tornParts } from '../../scripts/chaos/torn-reader.ts';
import { parseJobFiles } from '../../definitions/parse.ts';
import { faultPoints } from '../../worker/faults.ts';
import { backupJobText } from '../e2e/lab/backup-rig.ts';
import { linkJobText } from '../e2e/lab/link-rig.ts';
import { jobText, rowsBefore } from '../e2e/lab/shape.ts';

describe('the plan of a chaos run', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(planOf(7)).toEqual(planOf(7));
    expect(planOf(7)).not.toEqual(planOf(8));
  });

  it('is always a valid job with valid faults', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999 }), (seed) => {
        const plan = planOf(seed);
        const text = jobText({ ...plan.shape, name: 'x' });
        expect(parseJobFiles([{ file: 'x.yaml', text }]).diagnostics).toEqual([]);
        expect(() => faultPoints(plan.firstWorkerFault)).not.toThrow();
        expect(plan.faults.length).toBeGreaterThan(0);
      }),
    );
  });

  it('comes from all kinds of faults, servers and modes', () => {
    const plans = Array.from({ length: 200 }, (_, seed) => planOf(seed));
    expect(new Set(plans.map(({ shape }) => shape.mode)).size).toBe(3);
    const kinds = plans.flatMap(({ faults }) =>
      faults.map((fault) => `${fault.kind} ${'server' in fault ? fault.server : ''}`),
    );
    expect(new Set(kinds).size).toBe(7);
  });
});

describe('the plan of a chaos run over backups', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(backupPlanOf(7)).toEqual(backupPlanOf(7));
    expect(backupPlanOf(7)).not.toEqual(backupPlanOf(8));
  });

  it('is always a valid job with valid faults, and never appends a full backup twice', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999 }), (seed) => {
        const { shape, scope, rounds, ...plan } = backupPlanOf(seed);
        const text = backupJobText({ ...shape, name: 'x' }, jobOptionsOf({ ...plan, scope }));
        expect(parseJobFiles([{ file: 'x.yaml', text }]).diagnostics).toEqual([]);
        expect(scope === 'full' && shape.mode === 'append').toBe(false);
        for (const { firstWorkerFault, faults } of rounds) {
          expect(() => faultPoints(firstWorkerFault)).not.toThrow();
          expect(faults.length).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('comes from all kinds of stores, faults and changes', () => {
    const plans = Array.from({ length: 200 }, (_, seed) => backupPlanOf(seed));
    expect(new Set(plans.map(({ vault, far }) => `${vault} ${far}`)).size).toBe(9);
    const rounds = plans.flatMap((plan) => plan.rounds);
    expect(new Set(rounds.flatMap(({ faults }) => faults.map(({ kind }) => kind))).size).toBe(5);
    expect(new Set(rounds.flatMap(({ changes }) => changes.map(({ kind }) => kind))).size).toBe(4);
    expect(rounds.some(({ flip }) => flip !== null)).toBe(true);
  });
});

describe('the plan of a chaos run over a live copy', () => {
  const plans = Array.from({ length: 200 }, (_, seed) => duplicationPlanOf(seed));
  const faults = plans.flatMap(({ early, late }) => [...early, ...late]);

  it('is the same for the same seed, and another for another', () => {
    expect(duplicationPlanOf(7)).toEqual(duplicationPlanOf(7));
    expect(duplicationPlanOf(7)).not.toEqual(duplicationPlanOf(8));
  });

  it('is always a valid job with valid faults, before and after it is consistent', () => {
    for (const { job, early, late, firstWorkerFault } of plans) {
      const text = linkJobText('x', job);
      expect(parseJobFiles([{ file: 'x.yaml', text }]).diagnostics).toEqual([]);
      expect(() => faultPoints(firstWorkerFault)).not.toThrow();
      expect(Math.min(early.length, late.length)).toBeGreaterThan(0);
    }
    for (const fault of faults) {
      if (fault.kind === 'killWorker') expect(() => faultPoints(fault.nextWorkerFault)).not.toThrow();
      expect(describeLinkFault(fault)).not.toBe('');
    }
  });

  it('comes from all kinds of faults and versions, with one lane and with more', () => {
    expect(new Set(faults.map(({ kind }) => kind)).size).toBe(9);
    const versions = plans.map(({ sourceVersion, targetVersion }) => `${sourceVersion} ${targetVersion}`);
    expect(new Set(versions).size).toBe(4);
    expect(new Set(plans.map(({ job }) => job.lanes)).size).toBeGreaterThan(1);
    expect(new Set(plans.map(({ job }) => job.tables)).size).toBe(2);
  });
});

describe('the reader of a chaos run', () => {
  it('takes old and new content for whole, and anything else for torn', () => {
    const shape = { ...planOf(1).shape, mode: 'replace' as const, rows: [500, 600] };
    const old = rowsBefore(shape);
    expect(
      tornParts(
        new Map([
          [0, old],
          [1, 600],
        ]),
        shape,
      ),
    ).toBe(0);
    expect(
      tornParts(
        new Map([
          [0, 499],
          [1, old],
        ]),
        shape,
      ),
    ).toBe(1);
    expect(tornParts(new Map(), shape)).toBe(2);
  });
});

describe('the options of chaos', () => {
  it('name seeds one by one or as a range', () => {
    expect(readOptions(['copy', '--seeds', '3..5', '--json'])).toEqual({
      kind: 'copy',
      seeds: [3, 4, 5],
      json: true,
      verbose: false,
    });
    expect(readOptions(['backup-restore', '--seeds', '9'])).toMatchObject({
      kind: 'backup-restore',
      seeds: [9],
    });
  });

  it.each([[[]], [['teleport']], [['copy', '--seeds', '5..3']], [['copy', '--sleeds']]])(
    'refuse %j',
    (words) => {
      expect(() => readOptions(words)).toThrow();
    },
  );
});
