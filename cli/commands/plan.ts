import { Command } from 'commander';
import type {
  BackupRestoreActivities,
  BackupRestorePlan,
} from '../../definitions/contracts/backup-restore.ts';
import type { CopyActivities, PlanReport } from '../../definitions/contracts/copy.ts';
import type { DuplicationActivities } from '../../definitions/contracts/duplication.ts';
import { noFaults } from '../../worker/faults.ts';
import { noMetrics } from '../../worker/metrics.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { readJobFiles, type SubmittableJob } from '../job-files.ts';
import { planLines } from '../render/plan.ts';

export function planCommand(): Command {
  return new Command('plan')
    .description('Connect to the stores, run every check, and show what a run would do. Writes nothing.')
    .argument('<file...>', 'job files')
    .action(withContext(plan));
}

async function plan(context: CommandContext, files: string[]): CommandResult {
  const jobs = readJobFiles(files);
  const stores = await context.stores();
  // Loaded by this command only, as the drivers are: every other one starts sooner.
  const { createActivities } = await import('../../activities/index.ts');
  const nothing = (): void => undefined;
  const activities = createActivities({
    stores,
    fault: noFaults,
    log: { info: nothing, warn: nothing },
    metrics: noMetrics,
  });
  let refused = false;
  for (const { job } of jobs) {
    const report = await reportOf(activities, job);
    refused ||= report.findings.some(({ severity }) => severity === 'error');
    show(context, job, report);
  }
  return refused ? exitCodes.preflightRefused : exitCodes.done;
}

type Planning = Pick<CopyActivities, 'planCopy'> &
  Pick<BackupRestoreActivities, 'planBackupRestore'> &
  Pick<DuplicationActivities, 'planDuplication'>;

async function reportOf(
  activities: Planning,
  job: SubmittableJob['job'],
): Promise<PlanReport | BackupRestorePlan> {
  const asked = { run: 'plan', scheduledTime: new Date().toISOString() };
  switch (job.kind) {
    case 'copy':
      return await activities.planCopy({ job, ...asked });
    case 'backup-restore':
      return await activities.planBackupRestore({ job, ...asked, backup: null, verified: false });
    case 'duplication':
      return await activities.planDuplication({ job, run: asked.run });
  }
}

function show(
  { output }: CommandContext,
  job: SubmittableJob['job'],
  report: PlanReport | BackupRestorePlan,
): void {
  output.value({ name: job.name, kind: job.kind, ...report });
  for (const line of planLines(job, report)) output.line(line);
}
