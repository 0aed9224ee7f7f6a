import { expect } from 'vitest';
import { doneAgain, type DoneSoFar, type PlaceReport, reportOf } from './backup-checks.ts';
import type { BackupRig } from './backup-rig.ts';
import { compareSides, stagingTables, sumLedger } from './checks.ts';
import type { JobRun } from './job-run.ts';
import { expectNothingLeft } from './right-end.ts';

export interface RightBackupEnd {
  /** What had been done when each fault came. */
  readonly before: readonly DoneSoFar[];
  /** Backups published at the vault and at the far place, with those of earlier runs. */
  readonly backups?: number;
}

/**
 * Waits for the end of the job and holds it against the promise: every published backup whole and nothing beside it,
 * equal sides, each unit committed once, nothing done again that had been done; and `remove` leaves just the backups.
 */
export async function expectRightBackupEnd(
  rig: BackupRig,
  run: JobRun,
  { before, backups = 1 }: RightBackupEnd,
): Promise<void> {
  const outcome = await run.ended();
  expect(outcome).toMatchObject({ kind: 'result', result: { state: 'done', chunks: { skipped: 0 } } });
  for (const done of before) expect(await doneAgain(rig, done)).toEqual([]);
  for (const place of [rig.vault, rig.far]) expectWhole(await reportOf(place), backups);
  const sides = await compareSides(rig, rig.shape);
  expect(sides.found).toEqual(sides.expected);
  expect(sides.foundOld).toBe(sides.expectedOld);
  const ledger = await sumLedger(rig.target, rig.name);
  expect({ units: ledger.units, rows: ledger.rows }).toEqual({
    units: ledger.planned,
    // Each run restores the whole table, or finds it there.
    rows: sides.expected.rows * backups,
  });
  expect(await stagingTables(rig.target)).toEqual([]);
  await expectNothingLeft(rig, run);
  for (const place of [rig.vault, rig.far]) {
    const report = await reportOf(place);
    expectWhole(report, backups);
    expect(report.plans).toEqual([]);
  }
}

/** Of the load of each backup one note stays: how it ended. */
export function expectWhole(report: PlaceReport, backups: number): void {
  const { backups: found, plans, ...rest } = report;
  expect(rest).toEqual({ broken: [], unnamed: [], work: [], leftovers: [] });
  expect(found).toHaveLength(backups);
  const known = plans.filter((key) => found.some((backup) => key.startsWith(`plans/${backup}/`)));
  expect(plans).toEqual(known);
}
