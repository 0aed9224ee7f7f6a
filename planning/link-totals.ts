import type { CopyTotals, PlanTotals } from '../definitions/contracts/copy.ts';

export const noPlan: PlanTotals = { units: 0, chunks: 0, bytes: 0, tables: 0 };

/** What several loads of one link have done. */
export function addTotals(one: CopyTotals, other: CopyTotals): CopyTotals {
  return {
    unitsDone: one.unitsDone + other.unitsDone,
    unitsSkipped: one.unitsSkipped + other.unitsSkipped,
    rowsRead: one.rowsRead + other.rowsRead,
    rowsWritten: one.rowsWritten + other.rowsWritten,
    rowsSkipped: one.rowsSkipped + other.rowsSkipped,
    bytes: one.bytes + other.bytes,
  };
}

export function sumPlans(one: PlanTotals, other: PlanTotals): PlanTotals {
  return {
    units: one.units + other.units,
    chunks: one.chunks + other.chunks,
    bytes: one.bytes + other.bytes,
    tables: one.tables + other.tables,
  };
}
