import { SynclineError } from '../../../definitions/errors.ts';
import type { LogReading } from '../../../stores/spi/log.ts';
import type { LinkState, LinkWriter } from '../../../stores/spi/log-target.ts';
import type { Link } from '../link.ts';

/** The link for one writer, on the server that it was begun with. Throws `job.notFound`, `log.otherTimeline`. */
export async function withWriter<T>(
  link: Link,
  signal: AbortSignal,
  work: (writer: LinkWriter) => Promise<T>,
): Promise<T> {
  const { job } = link.input;
  const known = await link.applied.read(link.ref);
  if (known === null)
    throw new SynclineError('job.notFound', `The target knows no link of ${job.name} to ${link.ref.target}.`);
  await expectSameHistory(link, known);
  const writer = await link.applied.open({
    ref: link.ref,
    lanes: job.log.lanes,
    durable: job.log.durability === 'sync',
    laggingAfterMs: job.log.laggingAfterMs,
    signal,
  });
  try {
    return await work(writer);
  } finally {
    await writer.close();
  }
}

/** After a fail-over or a restored backup the source gives transaction ids and positions a second time. */
async function expectSameHistory({ log, input }: Link, known: LinkState): Promise<void> {
  const { systemId, timeline } = await log.identity(input.job.name);
  if (systemId === known.systemId && timeline === known.timeline) return;
  const what = systemId === known.systemId ? `timeline ${String(timeline)}` : 'another server';
  throw new SynclineError(
    'log.otherTimeline',
    `The source of ${input.job.name} is ${what}, and the link was begun on timeline ${String(known.timeline)}.`,
  );
}

interface OpenLog {
  readonly binary: boolean;
  readonly signal: AbortSignal;
}

/** Several pieces lie between the log and the target: the smaller they are, the less is in memory beside the batch itself. */
const piecesOfBatch = 4;

export async function openLog(
  link: Link,
  state: LinkState,
  { binary, signal }: OpenLog,
): Promise<LogReading> {
  const { batchChanges, batchBytes } = link.input.job.log;
  return await link.log.follow({
    address: link.address,
    from: state.position,
    pieceChanges: Math.ceil(batchChanges / piecesOfBatch),
    pieceBytes: Math.ceil(batchBytes / piecesOfBatch),
    binary,
    signal,
  });
}
