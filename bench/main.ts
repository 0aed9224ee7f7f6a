import { benchBackup } from './backup.ts';
import { benchChunks } from './chunks.ts';
import { benchCopy } from './copy.ts';
import { benchDuplication } from './duplication.ts';
import { benchMemory } from './memory.ts';
import { benchOnlineOffline } from './online-offline.ts';
import { type BenchName, parseOptions, UsageError } from './options.ts';
import { onStage, type Say, type Stage } from './stage.ts';
import type { BenchOptions } from './options.ts';

/** `npm run --silent bench -- <name>`: measures, checks that the work was done, prints one JSON object as last line. */
const benches: Readonly<
  Record<BenchName, (options: BenchOptions, stage: Stage, say: Say) => Promise<object>>
> = {
  copy: benchCopy,
  memory: benchMemory,
  chunks: benchChunks,
  backup: benchBackup,
  'online-offline': benchOnlineOffline,
  duplication: benchDuplication,
};

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const out = options.json ? process.stderr : process.stdout;
  const say = (line: string): void => void out.write(`${line}\n`);
  const result = await onStage(options, say, (stage) => benches[options.bench](options, stage, say));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** A failed workflow says why only in its causes. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const causes: string[] = [];
  for (let { cause } = error; cause instanceof Error; { cause } = cause)
    causes.push(`because: ${cause.message}`);
  return [error.stack ?? error.message, ...causes].join('\n');
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof UsageError ? error.message : explain(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
