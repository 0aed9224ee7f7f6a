#!/usr/bin/env node
import { CommanderError } from 'commander';
import { SynclineError } from '../definitions/errors.ts';
import { redaction } from './context.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { createProgram } from './program.ts';

/** Ends with an exit code and, for a user's mistake, without a stack trace. SYNCLINE_DEBUG=1 shows it. */
async function main(args: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, asksForJson(args));
  }
}

function report(error: unknown, json: boolean): number {
  // Commander has printed it already; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  const known = error instanceof SynclineError ? error : null;
  const message = known?.message ?? (error instanceof Error ? error.message : String(error));
  const code = known?.code ?? 'internal.unexpected';
  if (json) say(process.stdout, JSON.stringify({ error: { code, message, cure: known?.cure ?? null } }));
  say(process.stderr, `syncline: ${message}`);
  if (known !== null && known.code !== 'definition.invalid') say(process.stderr, `${code}: ${known.cure}`);
  if (process.env['SYNCLINE_DEBUG'] === '1') say(process.stderr, stackOf(error));
  return known === null ? exitCodes.failed : exitCodeOf(known.code);
}

function stackOf(error: unknown): string {
  const texts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) texts.push(at.stack ?? at.message);
  return texts.join('\ncaused by ');
}

function say(stream: NodeJS.WriteStream, text: string): void {
  stream.write(`${redaction.apply(text)}\n`);
}

function asksForJson(args: readonly string[]): boolean {
  const at = args.findIndex((arg) => arg === '-o' || arg === '--output');
  return args[at + 1] === 'json' || args.includes('--output=json') || args.includes('-ojson');
}

// `syncline … | head`: whoever read has enough; that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done);
  throw error;
});

await main(process.argv.slice(2));
// A long poll that nobody waits for any more would hold the process for seconds.
process.stdout.write('', () => process.exit());
