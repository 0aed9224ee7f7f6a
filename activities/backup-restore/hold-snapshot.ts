import { setTimeout as sleep } from 'node:timers/promises';
import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { LoadRef } from '../../definitions/contracts/copy.ts';
import type { BackupWriter } from '../../stores/spi/artifact.ts';
import type { HeldSnapshot, SnapshotHolder } from '../../stores/spi/chunk-source.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { targetOf } from '../ends.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { backupRef } from './places.ts';

const againAfterMs = 1_000;

/**
 * Holds the one snapshot of a backup. It cannot be had again once it is gone, and units read under another one would
 * not belong together: a second attempt is a failure at once, and the backup is begun anew.
 */
export async function holdSnapshot({ stores }: ActivityDependencies, input: StageInput): Promise<void> {
  const { job } = input;
  const ref = backupRef(input);
  const writer = requireCapability(targetOf(stores, ref), 'backupWriter');
  const holder = requireCapability(stores.get(ref.sourceStore), 'snapshotHolder');
  const heldSince = Date.now();
  await withHeartbeat(
    () => ({ chunk: job.name, step: 'holding', heldMs: Date.now() - heldSince }),
    async (signal) => {
      const held = await holdNoted({ job: job.name, ref, writer, holder }, signal);
      try {
        throw lost(job.name, await ending(held, job.backup.snapshotLimitMs, signal));
      } finally {
        await held.close();
      }
    },
  );
}

interface Holding {
  readonly job: string;
  readonly ref: LoadRef;
  readonly writer: BackupWriter;
  readonly holder: SnapshotHolder;
}

/** Before the snapshot is noted nobody has read under it: what passes by itself is waited for. */
async function holdNoted(holding: Holding, signal: AbortSignal): Promise<HeldSnapshot> {
  for (;;) {
    try {
      return await holdOnce(holding, signal);
    } catch (error) {
      if (!(error instanceof SynclineError) || error.retry !== 'automatic') throw error;
      await sleep(againAfterMs, undefined, { signal });
    }
  }
}

async function holdOnce({ job, ref, writer, holder }: Holding, signal: AbortSignal): Promise<HeldSnapshot> {
  if ((await writer.snapshot(ref)) !== null) throw lost(job, 'the worker that held it ended');
  const held = await holder.hold(job, signal);
  try {
    await writer.noteSnapshot(ref, { id: held.id, mark: held.mark });
    return held;
  } catch (error) {
    await held.close();
    throw error;
  }
}

/** Why it ended; throws when the activity is cancelled, which is how it ends when all is well. */
async function ending(held: HeldSnapshot, limitMs: number, signal: AbortSignal): Promise<string> {
  const timer = new AbortController();
  const limit = sleep(limitMs, `it was held for ${String(limitMs / 1_000)} s, as long as it may be`, {
    signal: AbortSignal.any([signal, timer.signal]),
  });
  // Whichever comes first; the other one must not be an unhandled rejection later.
  limit.catch(() => undefined);
  try {
    return await Promise.race([held.lost, limit]);
  } finally {
    timer.abort();
  }
}

function lost(job: string, why: string): SynclineError {
  return new SynclineError('source.snapshotLost', `The snapshot of backup job ${job} is gone: ${why}.`);
}
