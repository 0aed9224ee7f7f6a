import { ApplicationFailure } from '@temporalio/activity';
import type {
  LoadRef,
  PlanReport,
  PreflightFinding,
  PreparedLoad,
  PrepareInput,
} from '../../definitions/contracts/copy.ts';
import { errorTable, SynclineError } from '../../definitions/errors.ts';
import { loadIdentity } from '../../planning/window.ts';
import type { LoadLedger } from '../../stores/spi/load-ledger.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { accountFindings } from './account.ts';
import { describeJob, type DescribedJob, type LoadRequest, tablePlanOf } from './describe-job.ts';
import { nameConflicts, stillMissing } from './name-conflicts.ts';
import { displayName } from '../../stores/spi/tables.ts';
import { cutsOf, unitsOf } from './units.ts';

/** Checks, creates what is missing, and writes the plan. A repeated call finds the plan and leaves it. */
export async function prepareCopy(
  dependencies: ActivityDependencies,
  input: PrepareInput,
): Promise<PreparedLoad> {
  return await withHeartbeat(
    () => ({ chunk: input.job.name, step: 'waiting' }),
    () => prepareLoad(dependencies, input),
  );
}

/** The same for any source of rows, within a heartbeat of the caller's. */
export async function prepareLoad(
  dependencies: ActivityDependencies,
  input: LoadRequest,
): Promise<PreparedLoad> {
  const { job } = input;
  const described = await checkedJob(dependencies, input);
  const { source, target } = described;
  const ledger = requireCapability(target, 'loadLedger');
  const ref = refOf(input, described);
  const known = await ledger.plans.read(ref);
  // A window that was loaded before keeps the plan and the run it was loaded under.
  if (known !== null) {
    return {
      ref: { ...ref, run: known.ref.run },
      plan: known.totals,
      warnings: [],
      alreadyDone: (await ledger.totals(ref)).unitsDone,
    };
  }
  await requireCapability(target, 'chunkTarget').removeStaging(job.name);
  const ready = await createMissing(dependencies, input, described);
  const tables = ready.tables.map((table, index) => tablePlanOf(table, index + 1));
  const units = unitsOf(requireCapability(source, 'chunkSource'), ready.tables);
  const plan = await ledger.plans.write(ref, tables, units);
  return { ref, plan, warnings: warningsOf(described.findings), alreadyDone: 0 };
}

/** The same checks, and what would be done; writes nothing. Findings of severity `error` say it would be refused. */
export async function planCopy(dependencies: ActivityDependencies, input: LoadRequest): Promise<PlanReport> {
  const described = await describeJob(dependencies.stores, input);
  return await reportOf({
    ...described,
    findings: [...described.findings, ...(await checkLoad(described, input))],
  });
}

/** What would be done with tables as they are described; reads their sizes. */
export async function reportOf(described: DescribedJob): Promise<PlanReport> {
  const source = requireCapability(described.source, 'chunkSource');
  const scripts = requireCapability(described.source, 'tableBuilder');
  const tables: PlanReport['tables'][number][] = [];
  const notCarried: string[] = [];
  for (const table of described.tables) {
    const sums = { chunks: 0, slices: 0, bytes: 0 };
    for await (const cut of cutsOf(source, table)) {
      sums.chunks += 1;
      sums.slices += cut.ranges.length > 1 ? cut.ranges.length : 0;
      sums.bytes += cut.bytes;
    }
    if (table.match.create)
      notCarried.push(...(await scripts.script(table.definition, table.target)).notCarried);
    tables.push({
      source: displayName(table.definition.name),
      target: displayName(table.target),
      ...sums,
      rowsEstimate: table.definition.leaves.reduce((sum, leaf) => sum + Math.max(0, leaf.rows), 0),
      format: table.match.format,
      strategy: table.decision.strategy,
      willCreate: table.match.create,
    });
  }
  return {
    chunks: tables.reduce((sum, table) => sum + table.chunks, 0),
    bytes: tables.reduce((sum, table) => sum + table.bytes, 0),
    tables,
    consistency: 'chunk',
    slowPath: described.tables.flatMap((table) =>
      [...table.match.slowPath, ...(table.decision.reason === null ? [] : [table.decision.reason])].map(
        (reason) => ({
          table: displayName(table.definition.name),
          reason,
        }),
      ),
    ),
    notCarried,
    findings: described.findings,
  };
}

async function checkedJob(dependencies: ActivityDependencies, input: LoadRequest): Promise<DescribedJob> {
  const described = await describeJob(dependencies.stores, input);
  const findings = [...described.findings, ...(await checkLoad(described, input))];
  refuseOn(findings);
  return { ...described, findings };
}

/** What the two sides lack to play their roles, beyond what the description itself found. Reads only. */
export async function checkLoad(described: DescribedJob, input: LoadRequest): Promise<PreflightFinding[]> {
  const sources = described.tables.map((table) => table.definition.name);
  const targets = described.tables.map((table) => table.target);
  const ledger = requireCapability(described.target, 'loadLedger');
  const ref = refOf(input, described);
  return [
    ...(described.tables.length === 0 && described.findings.length === 0 ? [nothingSelected] : []),
    ...(await requireCapability(described.source, 'tableReader').preflight('source', sources)),
    ...(await requireCapability(described.target, 'tableReader').preflight('target', targets)),
    ...(await nameConflicts(described)),
    ...(await accountFindings(ledger, { described, ref, mode: input.job.target.mode })),
  ];
}

export const nothingSelected: PreflightFinding = {
  severity: 'error',
  code: 'source.tableMissing',
  table: null,
  message: 'The job selects no table.',
  cure: errorTable['source.tableMissing'].cure,
};

/** All that is wrong in one failure: its details are the findings, which the CLI prints one a line. */
export function refuseOn(findings: readonly PreflightFinding[]): void {
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (errors.length === 0) return;
  const more = errors.length > 1 ? ` (and ${String(errors.length - 1)} more)` : '';
  throw ApplicationFailure.create({
    type: 'preflight.refused',
    message: `${errors[0]?.message ?? 'Refused.'}${more}`,
    nonRetryable: true,
    details: [errors.slice(0, 50)],
  });
}

export function warningsOf(findings: readonly PreflightFinding[]): string[] {
  return findings.filter((finding) => finding.severity === 'warning').map((finding) => finding.message);
}

function refOf(input: LoadRequest, described: DescribedJob): LoadRef {
  const { job, run, from } = input;
  const windows = described.tables.map((table) => table.window);
  return {
    job: job.name,
    load: from?.load ?? loadIdentity(job.target.mode, windows, run),
    run,
    sourceStore: job.source.store,
    targetStore: job.target.store,
    ...(from === undefined ? {} : { sourceArtifact: from.address }),
  };
}

/** Tables first, then a second look: the plan needs the partitions as they came to be. */
export async function createMissing(
  dependencies: ActivityDependencies,
  input: LoadRequest,
  described: DescribedJob,
): Promise<DescribedJob> {
  const missing = described.tables.filter((table) => table.match.create);
  if (missing.length === 0) return described;
  const scripts = requireCapability(described.source, 'tableBuilder');
  const builder = requireCapability(described.target, 'tableBuilder');
  for (const table of missing) {
    const script = await scripts.script(table.definition, table.target);
    try {
      await builder.create(script);
    } catch (error) {
      refuseOn(overlapOf(error, displayName(table.target)));
      throw error;
    }
  }
  const again = await describeJob(dependencies.stores, input);
  refuseOn([...again.findings, ...stillMissing(again)]);
  return again;
}

/** Only the server knows whether bounds overlap; it says so when the partition is made. */
function overlapOf(error: unknown, table: string): PreflightFinding[] {
  if (!(error instanceof SynclineError) || error.code !== 'target.partitionMissing') return [];
  const cure = `Set \`createTables: false\`: rows are then routed into the partitions that ${table} has.`;
  return [{ severity: 'error', code: error.code, table, message: error.message, cure }];
}

/** For `retry`: what the ledger still knows of the job's newest load. */
export async function latestLoad(
  dependencies: ActivityDependencies,
  input: PrepareInput,
): Promise<PreparedLoad | null> {
  const ledger: LoadLedger = requireCapability(dependencies.stores.get(input.job.target.store), 'loadLedger');
  const stored = await ledger.plans.latest(input.job.name);
  if (stored === null) return null;
  const totals = await ledger.totals(stored.ref);
  return { ref: stored.ref, plan: stored.totals, warnings: [], alreadyDone: totals.unitsDone };
}
