import type { BackupRestorePlan, StageInput } from '../../definitions/contracts/backup-restore.ts';
import type { PlanReport, PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { BackupPlace, BackupStage, ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { errorTable, SynclineError } from '../../definitions/errors.ts';
import { requireCapability, type StoreProvider } from '../../stores/spi/store.ts';
import { displayName } from '../../stores/spi/tables.ts';
import { planCopy } from '../copy/prepare-copy.ts';
import { cutsOf } from '../copy/units.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { backupToRestore } from './choose-backup.ts';
import { describeBackup } from './describe-backup.ts';
import { findingOf } from './findings.ts';
import { openPlace, placeToRestore, restoreSettings, sourceSettings, transferPlace } from './places.ts';
import { restoreRequest } from './prepare-restore.ts';
import { backupToMove } from './prepare-transfer.ts';

type StagePlan = BackupRestorePlan['stages'][number];
type Report = Omit<PlanReport, 'consistency'>;

const nothing: Report = { chunks: 0, bytes: 0, tables: [], slowPath: [], notCarried: [], findings: [] };

/**
 * The checks of every stage that can be made now. The first stage is known in full; those after it depend on what it
 * brings, so of them only the stores are looked at.
 */
export async function planBackupRestore(
  dependencies: ActivityDependencies,
  input: StageInput,
): Promise<BackupRestorePlan> {
  const { job } = input;
  const stages: StagePlan[] = [];
  const findings: PreflightFinding[] = [];
  let report = nothing;
  for (const [index, stage] of job.stages.entries()) {
    const place = { stage, ...endsOf(job, stage) };
    const attempt = await attempted(() =>
      index === 0 ? planFirst(dependencies, input, stage) : lookAt(dependencies.stores, place.to),
    );
    findings.push(...attempt.findings);
    if (index === 0) report = attempt;
    const known = index === 0 && attempt !== nothing;
    stages.push({
      ...place,
      chunks: known ? attempt.chunks : null,
      bytes: known ? attempt.bytes : null,
    });
  }
  return { ...report, findings, consistency: job.backup.consistency, stages };
}

function endsOf(job: ResolvedBackupRestoreJob, stage: BackupStage): { from: string; to: string } {
  const shown = ({ store, path }: BackupPlace): string => `${store}:${path}`;
  switch (stage) {
    case 'backup':
      return { from: sourceSettings(job).store, to: shown(job.backup) };
    case 'transfer':
      return { from: shown(job.backup), to: shown(transferPlace(job)) };
    case 'restore':
      return { from: shown(placeToRestore(job)), to: restoreSettings(job).store };
  }
}

/** A plan is never refused: what stands in the way is what it says. */
async function attempted(plan: () => Promise<Report>): Promise<Report> {
  try {
    return await plan();
  } catch (error) {
    const refused = refusedFindings(error);
    if (refused !== null) return { ...nothing, findings: refused };
    if (!(error instanceof SynclineError)) throw error;
    const finding = findingOf(error);
    // The other site's stores are in the syncline.yaml of its own workers.
    if (error.code !== 'definition.unknownStore') return { ...nothing, findings: [finding] };
    const message = `${error.message} It is checked when its stage runs.`;
    return { ...nothing, findings: [{ ...finding, severity: 'info', message, cure: null }] };
  }
}

function refusedFindings(error: unknown): readonly PreflightFinding[] | null {
  if (typeof error !== 'object' || error === null) return null;
  const { type, details } = error as { readonly type?: unknown; readonly details?: unknown };
  if (type !== 'preflight.refused' || !Array.isArray(details)) return null;
  return details[0] as readonly PreflightFinding[];
}

async function lookAt(stores: StoreProvider, to: string): Promise<Report> {
  const [store = to] = to.split(':');
  const { warnings } = await stores.get(store).check();
  return {
    ...nothing,
    findings: warnings.map((message) => ({
      severity: 'warning',
      code: null,
      table: null,
      message: `Store ${store}: ${message}`,
      cure: null,
    })),
  };
}

async function planFirst(
  dependencies: ActivityDependencies,
  input: StageInput,
  stage: BackupStage,
): Promise<Report> {
  const { stores } = dependencies;
  switch (stage) {
    case 'backup':
      return await planBackup(stores, input);
    case 'transfer':
      return await planTransfer(stores, input);
    case 'restore': {
      const backup = await backupToRestore(stores, input);
      return await planCopy(dependencies, await restoreRequest(stores, input, backup));
    }
  }
}

async function planTransfer(stores: StoreProvider, input: StageInput): Promise<Report> {
  const backup = await backupToMove(stores, input);
  const near = openPlace(stores, input.job.backup);
  const summary = await requireCapability(near, 'backupCatalog').read(backup);
  const bytes = summary.storedBytes + summary.referredBytes;
  const { freeBytes } = await stores.get(transferPlace(input.job).store).check();
  const code = 'store.diskFull';
  const full: PreflightFinding = {
    severity: 'error',
    code,
    table: null,
    message: `Store ${transferPlace(input.job).store} has ${String(freeBytes)} bytes free; the backup has ${String(bytes)}.`,
    cure: errorTable[code].cure,
  };
  // What the far end has already does not come again.
  const tight = freeBytes !== undefined && freeBytes < summary.storedBytes;
  return { ...nothing, chunks: summary.chunks, bytes, findings: tight ? [full] : [] };
}

async function planBackup(stores: StoreProvider, input: StageInput): Promise<Report> {
  const described = await describeBackup(stores, input);
  const source = requireCapability(described.source, 'chunkSource');
  const builder = requireCapability(described.source, 'tableBuilder');
  const tables: PlanReport['tables'][number][] = [];
  const notCarried: string[] = [];
  for (const table of described.tables) {
    const sums = { chunks: 0, slices: 0, bytes: 0 };
    for await (const cut of cutsOf(source, table)) {
      sums.chunks += 1;
      sums.slices += cut.ranges.length > 1 ? cut.ranges.length : 0;
      sums.bytes += cut.bytes;
    }
    const { definition, match } = table;
    notCarried.push(...(await builder.script(definition, definition.name)).notCarried);
    const name = displayName(definition.name);
    tables.push({
      source: name,
      target: name,
      ...sums,
      rowsEstimate: definition.leaves.reduce((sum, leaf) => sum + Math.max(0, leaf.rows), 0),
      format: match.format,
      strategy: 'object',
      willCreate: false,
    });
  }
  return {
    chunks: tables.reduce((sum, table) => sum + table.chunks, 0),
    bytes: tables.reduce((sum, table) => sum + table.bytes, 0),
    tables,
    slowPath: described.tables.flatMap(({ definition, match }) =>
      match.slowPath.map((reason) => ({ table: displayName(definition.name), reason })),
    ),
    notCarried,
    findings: described.findings,
  };
}
