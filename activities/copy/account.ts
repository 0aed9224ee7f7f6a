import type { LoadRef, PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { LoadMode } from '../../definitions/contracts/job.ts';
import { errorTable } from '../../definitions/errors.ts';
import type { TablePlan, WindowFilter } from '../../stores/spi/chunk-source.ts';
import type { LoadLedger, StoredLoad } from '../../stores/spi/load-ledger.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import { type DescribedJob, tablePlanOf } from './describe-job.ts';
import { displayName } from '../../stores/spi/tables.ts';

export interface AccountRequest {
  readonly described: DescribedJob;
  readonly ref: LoadRef;
  readonly mode: LoadMode;
}

/**
 * An append by window may add only what is not there: rows in the window that no ledger row accounts for, or another
 * load of this job over a part of the window, would be doubled. Without a window, adding is what was asked for; of
 * backups it is asked for once: another backup of the same rows would double them.
 */
export async function accountFindings(
  ledger: LoadLedger,
  request: AccountRequest,
): Promise<PreflightFinding[]> {
  const { described, ref } = request;
  if (request.mode !== 'append' || !/^(window|backup):/.test(ref.load)) return [];
  const loads = await ledger.plans.all(ref.job);
  const chunkTarget = requireCapability(described.target, 'chunkTarget');
  const findings: PreflightFinding[] = [];
  let present = 0;
  for (const [index, table] of described.tables.entries()) {
    const plan = tablePlanOf(table, index + 1);
    const overlapping = loads.find((load) => load.ref.load !== ref.load && overlaps(load, plan));
    if (overlapping !== undefined)
      findings.push(finding(plan, `An earlier run appended a part of ${whatOf(plan)} already.`));
    if (table.existing !== null && plan.window !== null) present += await chunkTarget.rowsPresent(plan);
  }
  const { rows } = await ledger.totals(ref);
  const [first] = described.tables;
  if (present > rows && first !== undefined && findings.length === 0) {
    const message = `The target holds ${String(present)} rows in this window; the ledger accounts for ${String(rows)}.`;
    findings.push(finding(tablePlanOf(first, 1), message));
  }
  return findings;
}

function whatOf(plan: TablePlan): string {
  return plan.window === null ? 'these rows, from another backup,' : 'this window';
}

function finding(plan: TablePlan, message: string): PreflightFinding {
  const code = 'target.unaccountedRows';
  return { severity: 'error', code, table: displayName(plan.target), message, cure: errorTable[code].cure };
}

function overlaps(load: StoredLoad, plan: TablePlan): boolean {
  return load.tables.some(
    (other) => displayName(other.target) === displayName(plan.target) && meet(other.window, plan.window),
  );
}

/** Bounds of one column type compare as text: ISO 8601 with the same precision. An open end meets everything. */
function meet(one: WindowFilter | null, other: WindowFilter | null): boolean {
  if (one === null || other === null) return true;
  const before = (to: string | null, from: string | null): boolean =>
    to !== null && from !== null && to <= from;
  return !before(one.to, other.from) && !before(other.to, one.from);
}
