import { workflowIdOf } from '../../definitions/contracts/names.ts';
import { createExampleData } from '../../worker/local/example-data.ts';
import { type LocalStack, startStack } from '../../worker/local/stack.ts';
import { runCli, startWorker } from './processes.ts';
import { digestOf } from './table-digest.ts';
import { makeWorkspace, type Workspace } from './workspace.ts';

/** The last line of `--json`. */
export interface QuickstartResult {
  readonly ok: boolean;
  readonly sourceRows: number;
  readonly targetRows: number;
  readonly digestEqual: boolean;
  readonly uiUrl: string;
}

export interface Finished {
  readonly result: QuickstartResult;
  readonly workspace: Workspace;
  readonly workerPid: number;
}

export interface Surroundings {
  readonly say: (line: string) => void;
  /** Called for everything that has to be ended; the latest goes first. */
  readonly onEnd: (end: () => Promise<void>) => void;
  /** True: nothing but the last line goes to standard output. */
  readonly quiet: boolean;
}

const job = { file: 'examples/copy.yaml', name: 'trades-to-dr', table: 'public.trades' };

/** From nothing to a copied and checked table. */
export async function copyQuickstart(surroundings: Surroundings): Promise<Finished> {
  const { say, onEnd, quiet } = surroundings;
  const stack = await startServers(surroundings);
  say(`Making example data: 500 symbols, 242 minutes a day, 10 trading days …`);
  const { rows, partitions } = await createExampleData(stack.postgres.source.url);
  say(`  ${job.table}: ${count(rows)} rows in ${partitions} partitions, on the source.`);
  const workspace = await makeWorkspace({
    uiUrl: stack.temporal.uiUrl ?? null,
    temporalAddress: stack.temporal.address,
    ownTemporal: stack.temporal.pid !== 0,
    stores: { PROD_URL: stack.postgres.source.url, DR_URL: stack.postgres.target.url },
  });
  onEnd(() => workspace.remove());
  say('Starting a worker …');
  const worker = await startWorker(workspace, stack.temporal.address);
  onEnd(() => worker.stop());
  say(`Submitting ${job.file} …`);
  const status = await runCli(['run', job.file, '--wait', '--config', workspace.config], workspace, quiet);
  const result = await check(stack, status, say);
  return { result, workspace, workerPid: worker.pid };
}

type Stack = LocalStack<'source' | 'target'>;

async function startServers({ say, onEnd }: Surroundings): Promise<Stack> {
  say('Starting a Temporal server with its UI, and two PostgreSQL servers …');
  const started = Date.now();
  const stack = await startStack({
    temporal: { ui: true },
    postgres: { source: {}, target: {} },
    onProgress: (line) => say(`  ${line}`),
  });
  onEnd(() => stack.stop());
  const seconds = ((Date.now() - started) / 1_000).toFixed(1);
  say(
    `  ready after ${seconds} s. Temporal UI: ${stack.temporal.uiUrl ?? `the one of ${stack.temporal.address}`}`,
  );
  return stack;
}

async function check(stack: Stack, status: number, say: Surroundings['say']): Promise<QuickstartResult> {
  say('Comparing both sides with SQL of its own …');
  const uiUrl = `${stack.temporal.uiUrl ?? 'http://127.0.0.1:8233'}/namespaces/default/workflows/${encodeURIComponent(
    workflowIdOf('copy', job.name),
  )}`;
  const source = await digestOf(stack.postgres.source.url, job.table);
  const target = await digestOf(stack.postgres.target.url, job.table).catch(() => null);
  const digestEqual = target !== null && source.digest === target.digest;
  const ok = status === 0 && digestEqual && source.rows === target.rows;
  say(`  source  ${count(source.rows)} rows  digest ${source.digest}`);
  say(
    target === null
      ? '  target  has no such table'
      : `  target  ${count(target.rows)} rows  digest ${target.digest}`,
  );
  say(ok ? '  Equal.' : status === 0 ? '  They differ.' : `  The job did not succeed (exit code ${status}).`);
  return { ok, sourceRows: source.rows, targetRows: target?.rows ?? 0, digestEqual, uiUrl };
}

function count(rows: number): string {
  return rows.toLocaleString('en-US');
}
