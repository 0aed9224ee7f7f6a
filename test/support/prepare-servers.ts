import { findTemporalExecutable } from '../../worker/local/temporal-executable.ts';
import { findVersitygw } from './versitygw.ts';

/** Finds or installs the servers that tests run against and npm does not bring, so that no test waits for them. */
async function main(): Promise<void> {
  const say =
    (server: string) =>
    (line: string): void =>
      void process.stdout.write(`${server}: ${line}\n`);
  const running = process.env['TEMPORAL_ADDRESS'];
  say('Temporal')(
    running === undefined || running === ''
      ? await findTemporalExecutable(say('Temporal'))
      : `${running} (TEMPORAL_ADDRESS)`,
  );
  say('S3')(await findVersitygw(say('S3')));
}

await main();
