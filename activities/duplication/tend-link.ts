import type {
  LinkInput,
  LinkProgress,
  SetTableInput,
  WatchedLink,
} from '../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { progressOf } from './follow/progress.ts';
import { isOverdrawn } from './follow/retention.ts';
import { Routes } from './follow/routes.ts';
import { withWriter } from './follow/open-link.ts';
import { type Link, linkOf } from './link.ts';

/** What a link keeps while nobody follows it: a paused one must not fill the source's disk, also while its target is away. */
export async function watchLink({ stores }: ActivityDependencies, input: LinkInput): Promise<WatchedLink> {
  const link = linkOf(stores, input);
  const retained = await link.log.retained(link.address);
  const progress = await currentProgress(link).catch((error: unknown) => {
    if (error instanceof SynclineError && error.retry === 'automatic') return null;
    throw error;
  });
  const kept = { retainedBytes: progress?.retainedBytes ?? retained?.bytes ?? null };
  if (!isOverdrawn(input.job, kept)) return { progress, exceeded: false };
  await link.log.end(link.address);
  return { progress, exceeded: true };
}

async function currentProgress(link: Link): Promise<LinkProgress> {
  const [state, special, retained] = await Promise.all([
    link.applied.read(link.ref),
    link.applied.tables(link.ref),
    link.log.retained(link.address),
  ]);
  if (state === null) throw new SynclineError('job.notFound', `The target knows no link of ${link.ref.job}.`);
  return progressOf({ state, special, retained });
}

/** Takes one table out of the link for a while, or for good, or back in; the others do not notice. */
export async function setLinkTable(
  { stores }: ActivityDependencies,
  input: SetTableInput,
): Promise<LinkProgress> {
  const link = linkOf(stores, input);
  const { table, state } = input;
  const routes = new Routes(link);
  await routes.refresh();
  if (routes.chunksOfTable(table).length === 0)
    throw new SynclineError('link.unknownTable', `Job ${link.ref.job} has no table ${table}.`);
  const change =
    state === 'live' ? { table, state } : { table, state, code: null, message: null, attempts: 0 };
  await link.applied.setTable(link.ref, change);
  return await currentProgress(link);
}

const letters = 1_000;

/** Applies what was set aside, oldest first; rows that have changed since are made as the letter says, and counted. */
export async function retryDeadTransactions({ stores }: ActivityDependencies, input: LinkInput) {
  const link = linkOf(stores, input);
  let retried = 0;
  let conflicts = 0;
  return await withHeartbeat(
    () => ({ target: input.target, doing: 'retrying', retried }),
    (signal) =>
      withWriter(link, signal, async (writer) => {
        const routes = new Routes(link);
        await routes.refresh();
        for (const letter of await link.applied.deadTransactions(link.ref, letters)) {
          signal.throwIfAborted();
          conflicts += (await writer.retryDead(letter.id, (relation) => routes.leafOf(relation))).conflicts;
          retried += 1;
        }
        return { retried, conflicts, progress: await currentProgress(link) };
      }),
  );
}
