import { findTemporalExecutable } from '../worker/local/temporal-executable.ts';

/** Finds or installs the Temporal server of the tests, so that no test waits for it. */
async function main(): Promise<void> {
  const running = process.env['TEMPORAL_ADDRESS'];
  if (running !== undefined && running !== '') {
    process.stdout.write(`Temporal: ${running} (TEMPORAL_ADDRESS)\n`);
    return;
  }
  const path = await findTemporalExecutable((line) => void process.stdout.write(`Temporal: ${line}\n`));
  process.stdout.write(`Temporal: ${path}\n`);
}

await main();
