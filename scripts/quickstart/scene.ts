import { type JobKind } from '../../definitions/contracts/job.ts';
import { workflowIdOf } from '../../definitions/contracts/names.ts';
import { createExampleData } from '../../worker/local/example-data.ts';
import { type LocalStack, startStack } from '../../worker/local/stack.ts';
import { type RunningWorker, startWorker } from './processes.ts';
import { digestOf } from './table-digest.ts';
import { makeWorkspace, type Workspace } from './workspace.ts';

/** What the last line of `--json` has for every kind. */
export interface QuickstartResult {
  readonly ok: boolean;
  readonly sourceRows: number;
  readonly targetRows: number;
  readonly digestEqual: boolean;
  readonly uiUrl: string;
}

export interface Finished {
  readonly result: QuickstartResult;
  /** What to try while the servers are up. */
  readonly nextSteps: string;
}

export interface Surroundings {
  readonly say: (line: string) => void;
  /** Called for everything that has to be ended; the latest goes first. */
  readonly onEnd: (end: () => Promise<void>) => void;
  /** True: nothing but the last line goes to standard output. */
  readonly quiet: boolean;
}

/** Servers, the example's table on the source, and a worker. */
export interface Scene {
  readonly stack: LocalStack<'source' | 'target'>;
  readonly workspace: Workspace;
  readonly worker: RunningWorker;
}

export const table = 'public.trades';

/** `storesIn` answers the variables that the stores of the example's syncline.yaml name besides the databases. */
export async function setScene(
  surroundings: Surroundings,
  storesIn: (folder: string) => Readonly<Record<string, string>> = () => ({}),
): Promise<Scene> {
  const { say, onEnd } = surroundings;
  const stack = await startServers(surroundings);
  say(`Making example data: 500 symbols, 242 minutes a day, 10 trading days …`);
  const { rows, partitions } = await createExampleData(stack.postgres.source.url);
  say(`  ${table}: ${count(rows)} rows in ${partitions} partitions, on the source.`);
  const workspace = await makeWorkspace({
    uiUrl: stack.temporal.uiUrl ?? null,
    temporalAddress: stack.temporal.address,
    ownTemporal: stack.temporal.pid !== 0,
    stores: (folder) => ({
      PROD_URL: stack.postgres.source.url,
      DR_URL: stack.postgres.target.url,
      ...storesIn(folder),
    }),
  });
  onEnd(() => workspace.remove());
  say('Starting a worker …');
  const worker = await startWorker(workspace, stack.temporal.address);
  onEnd(() => worker.stop());
  return { stack, workspace, worker };
}

async function startServers({ say, onEnd }: Surroundings): Promise<Scene['stack']> {
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

export interface RanJob {
  readonly kind: JobKind;
  readonly name: string;
  /** Exit code of `syncline run --wait`. */
  readonly status: number;
}

/** Holds both sides against each other, and says so. */
export async function compareSides(
  { stack }: Scene,
  { kind, name, status }: RanJob,
  say: Surroundings['say'],
): Promise<QuickstartResult> {
  say('Comparing both sides with SQL of its own …');
  const uiUrl = `${stack.temporal.uiUrl ?? 'http://127.0.0.1:8233'}/namespaces/default/workflows/${encodeURIComponent(
    workflowIdOf(kind, name),
  )}`;
  const source = await digestOf(stack.postgres.source.url, table);
  const target = await digestOf(stack.postgres.target.url, table).catch(() => null);
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

export function count(rows: number): string {
  return rows.toLocaleString('en-US');
}
