import type { TemporalAccess } from '../../worker/connection.ts';

/** By type of activity, in the order in which they began: how many, and the seconds from the first's being scheduled to the last's end. */
export async function activityTimes({ client }: TemporalAccess, workflowId = ''): Promise<string> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const scheduled = new Map<string, { readonly type: string; readonly at: number }>();
  const types = new Map<string, { count: number; first: number; last: number }>();
  for (const event of events ?? []) {
    const at = Number(event.eventTime?.seconds ?? 0) + (event.eventTime?.nanos ?? 0) / 1e9;
    const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (typeof type === 'string') scheduled.set(String(event.eventId), { type, at });
    const over = event.activityTaskCompletedEventAttributes?.scheduledEventId;
    const begun = scheduled.get(String(over));
    if (begun === undefined) continue;
    const sum = types.get(begun.type) ?? { count: 0, first: begun.at, last: at };
    types.set(begun.type, { ...sum, count: sum.count + 1, last: at });
  }
  return [...types]
    .map(([type, { count, first, last }]) => `${type} ${String(count)}× ${(last - first).toFixed(2)} s`)
    .join(' · ');
}
