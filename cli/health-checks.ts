import { SynclineError } from '../definitions/errors.ts';
import type { StoreProvider } from '../stores/spi/store.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { missingSearchAttributes, registerCommand } from '../worker/search-attributes.ts';
import { type CommandContext, redaction } from './context.ts';
import { pollersOf } from './workers.ts';

/** One line of `doctor`. `message` has passed the redaction. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly message: string;
  readonly cure: string | null;
}

export async function checkTemporal(context: CommandContext): Promise<Finding[]> {
  let access: TemporalAccess;
  try {
    access = await context.temporal();
  } catch (error) {
    return [failed('temporal', error)];
  }
  const { address, namespace } = access.target;
  const reached = good('temporal', `${address}, namespace "${namespace}"`);
  return [
    reached,
    await guarded('search attributes', () => attributeFinding(access)),
    await guarded('workers', () => workerFinding(access)),
  ];
}

async function attributeFinding({ connection, target: { namespace } }: TemporalAccess): Promise<Finding> {
  const missing = await missingSearchAttributes({ connection, namespace });
  if (missing.length === 0) return good('search attributes', 'registered');
  return {
    what: 'search attributes',
    ok: false,
    message: `missing ${missing.join(', ')}`,
    cure: `start a worker, which registers them; or: ${missing.map((name) => registerCommand(name, namespace)).join('; ')}`,
  };
}

async function workerFinding(access: TemporalAccess): Promise<Finding> {
  const { workflow, activity } = await pollersOf(access);
  const { taskQueue } = access.target;
  const workers = new Set([...workflow, ...activity]);
  if (workflow.length > 0 && activity.length > 0) {
    return good('workers', `${workers.size} on task queue "${taskQueue}": ${[...workers].join(', ')}`);
  }
  const message = `none on task queue "${taskQueue}"`;
  return { what: 'workers', ok: false, message, cure: 'Start one: `syncline worker`.' };
}

export async function checkStores(context: CommandContext): Promise<Finding[]> {
  let stores: StoreProvider;
  try {
    stores = await context.stores();
  } catch (error) {
    return [failed('syncline.yaml', error)];
  }
  return await Promise.all(
    stores.names().map((name) => guarded(`store ${name}`, () => storeFinding(stores, name))),
  );
}

async function storeFinding(stores: StoreProvider, name: string): Promise<Finding> {
  const { version, latencyMs, warnings } = await stores.get(name).check();
  const remarks = warnings.map((warning) => `; ${warning}`).join('');
  return good(`store ${name}`, `${version}, ${latencyMs.toFixed(1)} ms${remarks}`);
}

async function guarded(what: string, check: () => Promise<Finding>): Promise<Finding> {
  try {
    return await check();
  } catch (error) {
    return failed(what, error);
  }
}

function good(what: string, message: string): Finding {
  return { what, ok: true, message, cure: null };
}

function failed(what: string, error: unknown): Finding {
  const message = redaction.apply(error instanceof Error ? error.message : String(error));
  return { what, ok: false, message, cure: error instanceof SynclineError ? error.cure : null };
}
