import type { ResolvedJob } from '../definitions/contracts/job.ts';
import { SynclineError } from '../definitions/errors.ts';
import { interpolate, type Surroundings } from '../definitions/interpolation.ts';
import type { StoresFile } from '../definitions/stores-file.ts';
import { processSurroundings } from '../worker/config.ts';

/** Task queue of the workers near a store, by its name. */
export type SiteQueues = Readonly<Record<string, string>>;

/**
 * `taskQueue` of a store in syncline.yaml; undefined: every worker reaches it. Of its entry only that setting is filled
 * in, no secret. Errors: `definition.missingSecret`.
 */
export function siteQueueOf(
  { stores }: Pick<StoresFile, 'stores'>,
  name: string,
  surroundings: Surroundings = processSurroundings,
): string | undefined {
  const written = stores[name]?.settings['taskQueue'];
  const { settings, missing } = interpolate({ taskQueue: written }, surroundings);
  if (missing.length > 0) {
    // Left out, the stage would run at the wrong site without a word.
    throw new SynclineError(
      'definition.missingSecret',
      `\`taskQueue\` of store "${name}" needs ${missing.join(', ')}, which is not set.`,
      { details: { store: name } },
    );
  }
  const { taskQueue } = settings;
  return typeof taskQueue === 'string' && taskQueue !== '' ? taskQueue : undefined;
}

/** Where the stages of a job go, for its workflow; undefined where all run where the job does. */
export function queuesOf(job: ResolvedJob, config: Pick<StoresFile, 'stores'>): SiteQueues | undefined {
  if (job.kind !== 'backup-restore') return undefined;
  const stores = [job.source?.store, job.backup.store, job.transfer?.store, job.restore?.store];
  const queues: Record<string, string> = {};
  for (const store of stores) {
    if (store === undefined) continue;
    const queue = siteQueueOf(config, store);
    if (queue !== undefined) queues[store] = queue;
  }
  return Object.keys(queues).length === 0 ? undefined : queues;
}
