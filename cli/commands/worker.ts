import { Command } from 'commander';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';

export function workerCommand(): Command {
  return new Command('worker')
    .description('Run a worker until SIGTERM or SIGINT; then it drains. Start as many as you like.')
    .action(withContext(runWorker));
}

async function runWorker(context: CommandContext): CommandResult {
  const config = context.configWithStores();
  // The native core of the SDK is loaded by this command only.
  const { createWorker } = await import('../../worker/create-worker.ts');
  const { drainOnSignals } = await import('../../worker/shutdown.ts');
  const worker = await createWorker({ config, target: context.target() });
  const forget = drainOnSignals(worker, worker.log);
  try {
    await worker.run();
  } finally {
    forget();
  }
  return 0;
}
