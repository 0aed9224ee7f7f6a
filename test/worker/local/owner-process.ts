import { startPostgres } from '../../../worker/local/postgres.ts';
import { startTemporal } from '../../../worker/local/temporal.ts';

/** Started by tests that kill it: owns one server, says which, and does nothing more. */
async function main(): Promise<void> {
  const server =
    process.argv[2] === 'temporal' ? await startTemporal({ alwaysOwn: true }) : await startPostgres();
  const dataDirectory = 'dataDirectory' in server ? server.dataDirectory : null;
  process.stdout.write(`${JSON.stringify({ pid: server.pid, dataDirectory })}\n`);
  setInterval(() => undefined, 60_000);
}

await main();
