import { setTimeout as sleep } from 'node:timers/promises';
import type { StageInput } from '../../definitions/contracts/backup-restore.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { NotedLog } from '../../stores/spi/artifact.ts';
import type { Waiting } from '../../stores/spi/log.ts';
import type { StoreProvider } from '../../stores/spi/store.ts';
import { refuseOn } from '../copy/prepare-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { expectRetained } from '../duplication/link.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { describeBackup } from './describe-backup.ts';
import { endKeptLog, type KeptLog, keptLogOf, publishedFor } from './kept-log.ts';
import { backupRef, sourceSettings } from './places.ts';

const lookEveryMs = 2_000;
/** A long transaction may be waited for; whoever looks is told by name which. */
const barrierDeadlineMs = 10 * 60_000;

/**
 * Publication, slot and barrier before the first unit is read; then watches. Nothing is read here: the log is asked once, when
 * all units are there. A later attempt goes on with what is there, since all that counts is that no log is missing.
 */
export async function keepLog({ stores }: ActivityDependencies, input: StageInput): Promise<void> {
  const kept = keptLogOf(stores, input);
  let waiting: readonly Waiting[] = [];
  await withHeartbeat(
    () => ({
      chunk: input.job.name,
      step: 'holding',
      waitingFor: waiting.map(({ name }) => name).slice(0, 5),
    }),
    async (signal) => {
      const ref = backupRef(input);
      if ((await kept.writer.log(ref)) === null) {
        const noted = await begin(stores, input, { kept, signal, waiting: (who) => (waiting = who) });
        await kept.writer.noteLog(ref, noted);
      }
      await watch(kept, input, signal);
    },
  );
}

interface Beginning {
  readonly kept: KeptLog;
  readonly signal: AbortSignal;
  waiting(who: readonly Waiting[]): void;
}

/** What has the name is of an earlier run, or of an attempt that could not say it: nobody relies on it. */
async function begin(stores: StoreProvider, input: StageInput, beginning: Beginning): Promise<NotedLog> {
  const { log, address } = beginning.kept;
  await log.end(address);
  const { tables, findings } = await describeBackup(stores, input);
  refuseOn(findings);
  const start = await log.begin({
    address,
    tables: publishedFor(tables),
    deadlineMs: barrierDeadlineMs,
    signal: beginning.signal,
    waiting: (who) => beginning.waiting(who),
  });
  const now = await log.cut(input.job.name, beginning.signal);
  await now.close();
  return { start, mark: now.mark };
}

async function watch({ log, address }: KeptLog, { job }: StageInput, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(lookEveryMs, undefined, { signal });
    const retained = await expectRetained({ log, address });
    const { maxLogBytes = Number.MAX_SAFE_INTEGER } = job.backup;
    if (retained.bytes <= maxLogBytes) continue;
    throw new SynclineError(
      'log.retentionExceeded',
      `The source keeps ${String(retained.bytes)} bytes of log for backup job ${job.name}; ${String(maxLogBytes)} are allowed.`,
    );
  }
}

export async function dropLog({ stores }: ActivityDependencies, { job }: StageInput): Promise<void> {
  await withHeartbeat(
    () => ({ chunk: job.name, step: 'waiting' }),
    () => endKeptLog(stores.get(sourceSettings(job).store), job),
  );
}
