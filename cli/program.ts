import { Command, Option } from 'commander';
import { applyCommand } from './commands/apply.ts';
import { backupCommand } from './commands/backup.ts';
import { chunksCommand } from './commands/chunks.ts';
import { devCommand } from './commands/dev.ts';
import { doctorCommand } from './commands/doctor.ts';
import { historyCommand } from './commands/history.ts';
import { initCommand } from './commands/init.ts';
import { listCommand } from './commands/list.ts';
import { metricsCommand } from './commands/metrics.ts';
import { pauseCommand } from './commands/pause.ts';
import { planCommand } from './commands/plan.ts';
import { policyCommand } from './commands/policy.ts';
import { promoteCommand } from './commands/promote.ts';
import { removeCommand } from './commands/remove.ts';
import { resumeCommand } from './commands/resume.ts';
import { resyncCommand } from './commands/resync.ts';
import { retryCommand } from './commands/retry.ts';
import { runCommand } from './commands/run.ts';
import { schemaCommand } from './commands/schema.ts';
import { skipCommand } from './commands/skip.ts';
import { statusCommand } from './commands/status.ts';
import { tableCommand } from './commands/table.ts';
import { tasksCommand } from './commands/tasks.ts';
import { validateCommand } from './commands/validate.ts';
import { verifyCommand } from './commands/verify.ts';
import { workerCommand } from './commands/worker.ts';
import { packageVersion } from './version.ts';

/** The whole command tree; reference.ts prints the same one. */
export function createProgram(): Command {
  const program = new Command('syncline')
    .description('Durable, YAML-defined jobs that move tables between database clusters.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('--config <file>', 'file that names stores and Temporal (default: ./syncline.yaml)')
    .option('--profile <name>', "profile of Temporal's client configuration")
    .addOption(new Option('-o, --output <format>', 'output').choices(['text', 'json']).default('text'))
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('`syncline --help` lists the commands, `syncline <command> --help` its options.')
    .exitOverride();
  const commands = [
    initCommand,
    schemaCommand,
    validateCommand,
    planCommand,
    applyCommand,
    runCommand,
    statusCommand,
    listCommand,
    chunksCommand,
    pauseCommand,
    resumeCommand,
    retryCommand,
    skipCommand,
    policyCommand,
    tableCommand,
    resyncCommand,
    verifyCommand,
    tasksCommand,
    metricsCommand,
    promoteCommand,
    removeCommand,
    historyCommand,
    backupCommand,
    workerCommand,
    doctorCommand,
    devCommand,
  ];
  for (const make of commands) program.addCommand(make().copyInheritedSettings(program));
  return program;
}
