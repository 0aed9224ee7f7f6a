import { SynclineError } from '../definitions/errors.ts';
import type { StoreProvider } from '../stores/spi/store.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { missingSearchAttributes, registerCommand } from '../worker/search-attributes.ts';
import { type CommandContext, redaction } from './context.ts';
import { bytesText } from './render/amounts.ts';
import { siteQueueOf } from './sites.ts';
import { pollersOf } from '../worker/jobs/workers.ts';

/** One line of `doctor`. `message` has passed the redaction. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly message: string;
  readonly cure: string | null;
  /** Nothing is broken here, but what another site must do may wait. */
  readonly warning?: true;
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
    ...(await siteFindings(context, access)),
  ];
}

/** Whoever polls the queue of a site is not to be seen from its stores. */
async function siteFindings(context: CommandContext, access: TemporalAccess): Promise<Finding[]> {
  const config = context.config();
  const sites = new Map<string, string[]>();
  for (const name of Object.keys(config.stores)) {
    const queue = otherSiteOf(context, name);
    if (queue !== undefined) sites.set(queue, [...(sites.get(queue) ?? []), name]);
  }
  return await Promise.all(
    [...sites].map(([queue, stores]) =>
      guarded(`site ${queue}`, () => siteFinding(access, { queue, stores })),
    ),
  );
}

interface Site {
  readonly queue: string;
  readonly stores: readonly string[];
}

async function siteFinding(access: TemporalAccess, { queue, stores }: Site): Promise<Finding> {
  const { activity } = await pollersOf(access, queue);
  const what = `site ${queue}`;
  const whose = `for ${stores.join(', ')}`;
  if (activity.length > 0) return good(what, `${activity.join(', ')}, ${whose}`);
  return {
    ...good(what, `no worker polls task queue "${queue}", ${whose}; stages of these stores wait for one`),
    warning: true,
    cure: `Start one there, whose syncline.yaml has \`temporal: { taskQueue: ${queue} }\`.`,
  };
}

/** The task queue of a store that is another than this file's own; undefined: the store is reached from here. */
function otherSiteOf(context: CommandContext, store: string): string | undefined {
  try {
    const config = context.config();
    const queue = siteQueueOf(config, store);
    return queue === config.temporal.taskQueue ? undefined : queue;
  } catch {
    // What is missing is said where the store itself is checked.
    return undefined;
  }
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
  return await Promise.all(stores.names().map((name) => storeFinding(context, stores, name)));
}

async function storeFinding(context: CommandContext, stores: StoreProvider, name: string): Promise<Finding> {
  const found = await guarded(`store ${name}`, () => reachedFinding(stores, name));
  const queue = otherSiteOf(context, name);
  if (found.ok || queue === undefined) return found;
  const message = `not reached from here: ${found.message}; workers on task queue "${queue}" must reach it`;
  return { ...good(found.what, message), warning: true, cure: 'Run `syncline doctor` at that site.' };
}

async function reachedFinding(stores: StoreProvider, name: string): Promise<Finding> {
  const { version, latencyMs, warnings, freeBytes } = await stores.get(name).check();
  const room = freeBytes === undefined ? '' : `, ${bytesText(freeBytes)} free`;
  const remarks = warnings.map((warning) => `; ${warning}`).join('');
  return good(`store ${name}`, `${version}, ${latencyMs.toFixed(1)} ms${room}${remarks}`);
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
