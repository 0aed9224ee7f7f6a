import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';

interface DevOptions {
  readonly state: string;
  readonly port: string;
  readonly uiPort: string;
}

export function devCommand(): Command {
  return new Command('dev')
    .description('A local Temporal server with its UI, and a worker for your stores, until Ctrl-C.')
    .option('--state <folder>', 'where jobs and their histories are kept', '.syncline')
    .option('--port <port>', 'of the Temporal server', '7233')
    .option('--ui-port <port>', 'of its UI', '8233')
    .action(withContext(dev));
}

async function dev(context: CommandContext, options: DevOptions): CommandResult {
  const config = context.configWithStores();
  const { output } = context;
  const { startTemporal } = await import('../../worker/local/temporal.ts');
  mkdirSync(options.state, { recursive: true });
  output.note('Starting a local Temporal server …');
  const server = await startTemporal({
    alwaysOwn: true,
    dbFilename: join(options.state, 'temporal.db'),
    port: Number(options.port),
    ui: Number(options.uiPort),
    onProgress: (line) => output.note(`  ${line}`),
  });
  try {
    // Only this process: other terminals find the server at its usual port.
    process.env['TEMPORAL_ADDRESS'] = server.address;
    output.value({ address: server.address, uiUrl: server.uiUrl, taskQueue: context.target().taskQueue });
    output.line(`Temporal at ${server.address}, UI at ${server.uiUrl ?? '-'}, state in ${options.state}.`);
    if (options.port !== '7233') output.line(`In other terminals: export TEMPORAL_ADDRESS=${server.address}`);
    const { createWorker } = await import('../../worker/create-worker.ts');
    const { drainOnSignals } = await import('../../worker/shutdown.ts');
    const worker = await createWorker({ config, target: context.target() });
    const forget = drainOnSignals(worker, worker.log);
    await worker.run().finally(forget);
    return 0;
  } finally {
    await server.stop();
  }
}
