import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { nextStepsOf, syncline } from './next-steps.ts';
import { runCli } from './processes.ts';
import {
  compareSides,
  count,
  type Finished,
  type QuickstartResult,
  type Scene,
  setScene,
  type Surroundings,
} from './scene.ts';
import { lastChange, startWriter, type Written } from './writer.ts';

/** What was written while the job loaded and followed. */
export interface DuplicationQuickstartResult extends QuickstartResult {
  readonly written: Written;
}

const job = { file: 'examples/duplication.yaml', name: 'trades-live' };
const lastChangeWithinMs = 60_000;

/** A copy that is loaded, followed and checked while an application goes on writing. */
export async function duplicationQuickstart(surroundings: Surroundings): Promise<Finished> {
  const { say, quiet, onEnd } = surroundings;
  const scene = await setScene(surroundings);
  const { workspace, stack } = scene;
  const cli = (...words: string[]): Promise<number> =>
    runCli([...words, '--config', workspace.config], workspace, quiet);
  say('Starting a writer on the source: inserts, updates and deletes, some fifty transactions a second …');
  const writer = await startWriter(stack.postgres.source.url);
  // Interrupted, its server may be gone before it is.
  onEnd(() => writer.stop().catch(() => undefined));
  say(`Submitting ${job.file}, and waiting until its target is consistent …`);
  const submitted = await cli('run', job.file, '--wait');
  if (stack.temporal.pid === 0) onEnd(() => cli('remove', job.name).then(() => undefined));
  const partition = await writer.openNextDay();
  say(`  The writer has made ${partition} meanwhile, and goes on there.`);
  await delay(3_000);
  say('How far behind the target is:');
  const shown = await cli('status', job.name);
  say('Comparing both sides chunk by chunk, each at one instant, while the writer goes on …');
  const verified = await cli('verify', job.name);
  await writer.stop();
  const { written } = writer;
  say(
    `The writer is stopped after ${count(written.transactions)} transactions: ${count(written.inserted)} rows inserted, ${count(written.updated)} updated, ${count(written.deleted)} deleted.`,
  );
  const caughtUp = await untilLastChange(scene);
  if (!caughtUp) say(`  Its last change did not reach the target within ${lastChangeWithinMs / 1_000} s.`);
  const status = [submitted, shown, verified].find((code) => code !== 0) ?? 0;
  const compared = await compareSides(scene, { kind: 'duplication', name: job.name, status }, say);
  const result: DuplicationQuickstartResult = { ...compared, ok: compared.ok && caughtUp, written };
  return { result, nextSteps: nextSteps(scene, result) };
}

async function untilLastChange({ stack }: Scene): Promise<boolean> {
  const client = new pg.Client({ connectionString: stack.postgres.target.url });
  await client.connect();
  try {
    const deadline = Date.now() + lastChangeWithinMs;
    while ((await client.query(lastChange)).rows.length === 0) {
      if (Date.now() > deadline) return false;
      await delay(50);
    }
    return true;
  } finally {
    await client.end();
  }
}

function nextSteps(scene: Scene, result: QuickstartResult): string {
  const { config } = scene.workspace;
  return nextStepsOf(scene, result, [
    `psql "$PROD_URL" -c "UPDATE public.trades SET price = price + 1 WHERE sym = '000007'"; sleep 1`,
    `psql "$DR_URL" -c "SELECT ts, price FROM public.trades WHERE sym = '000007' LIMIT 5"`,
    `${syncline} status ${job.name} --config ${config}`,
    `${syncline} metrics ${job.name} --config ${config}`,
    `${syncline} tasks ${job.name} --config ${config}     # the batches of the last minutes`,
    `kill -9 ${scene.worker.pid}; ${syncline} worker --config ${config}     # the log goes on where the ledger says`,
    `${syncline} pause ${job.name} --config ${config}     # the source keeps its log; resume brings it`,
    `${syncline} verify ${job.name} --config ${config}     # digests at one instant, while it runs`,
    `${syncline} promote ${job.name} --config ${config}     # the target is on its own; or remove, which keeps its rows too`,
  ]);
}
