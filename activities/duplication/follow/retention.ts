import type { LinkProgress } from '../../../definitions/contracts/duplication.ts';
import type { ResolvedDuplicationJob } from '../../../definitions/contracts/job.ts';
import { SynclineError } from '../../../definitions/errors.ts';

/** Whether a link keeps more than it may, and is to be stopped for it. */
export function isOverdrawn(
  { retention }: ResolvedDuplicationJob,
  { retainedBytes }: Pick<LinkProgress, 'retainedBytes'>,
): boolean {
  return retention.onExceed === 'stop' && retainedBytes !== null && retainedBytes > retention.maxLogBytes;
}

export function overdrawn({ name, retention }: ResolvedDuplicationJob): SynclineError {
  return new SynclineError(
    'log.retentionExceeded',
    `More log is kept for ${name} than retention.maxLog allows (${String(retention.maxLogBytes)} bytes); its slot was dropped.`,
  );
}
