import { expect } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { compareSides, openSessions, stagingTables, sumLedger } from './checks.ts';
import type { JobRun } from './job-run.ts';
import type { Rig } from './rig.ts';

export interface RightEnd {
  /** How many units the faults found in flight, all faults together. */
  readonly unitsInterrupted: number;
}

/** Statements about the catalogue, framing of rows, pages that a socket had buffered already. */
const smallTalkBytes = 400_000;
const bytesOfFrame = 5;

/**
 * Waits for the end of the job and holds it against the promise: equal sides, each unit committed once, no more
 * copied again than was in flight; and after `remove` nothing of ours on either server.
 */
export async function expectRightEnd(rig: Rig, run: JobRun, { unitsInterrupted }: RightEnd): Promise<void> {
  const outcome = await run.ended();
  expect(outcome).toMatchObject({ kind: 'result', result: { state: 'done', chunks: { skipped: 0 } } });
  const sides = await compareSides(rig, rig.shape);
  expect(sides.found).toEqual(sides.expected);
  expect(sides.foundOld).toBe(sides.expectedOld);
  const ledger = await sumLedger(rig.target, rig.name);
  expect({ units: ledger.units, rows: ledger.rows }).toEqual({
    units: ledger.planned,
    rows: sides.expected.rows,
  });
  const wire = rig.network.source.bytesDown - ledger.rows * bytesOfFrame;
  expect(wire - ledger.bytes).toBeLessThan(unitsInterrupted * ledger.largestUnit + smallTalkBytes);
  expect(await stagingTables(rig.target)).toEqual([]);
  await expectNothingLeft(rig, run);
}

/** `remove` takes the ledger too, and leaves the rows. */
export async function expectNothingLeft(rig: Rig, run: JobRun): Promise<void> {
  expect(await run.remove()).toMatchObject({ kind: 'result', result: { state: 'removed' } });
  expect(await rig.target.query(`SELECT FROM pg_namespace WHERE nspname = 'syncline'`)).toEqual([]);
  await expectNoSessions(rig);
}

/** Idle ones are kept for some seconds. */
export async function expectNoSessions(rig: Rig): Promise<void> {
  await eventually(async () => (await sessionsOf(rig)).length === 0, {
    waitingFor: 'the end of our sessions',
  });
}

async function sessionsOf(rig: Rig): Promise<string[]> {
  return [...(await openSessions(rig.source)), ...(await openSessions(rig.target))];
}
