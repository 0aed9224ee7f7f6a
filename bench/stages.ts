import type { TemporalAccess } from '../worker/connection.ts';

/** Where the time of one run went, in ms, by the event times of its history (all of one server's clock). */
export interface Stages {
  /** From the start to the first activity. */
  readonly accept: number;
  /** `prepareCopy`, from being scheduled to being over. */
  readonly prepare: number;
  /** From then to the first `finishCopy`: listing and loading. */
  readonly load: number;
  readonly finish: number;
  /** From there to the end of the workflow. */
  readonly close: number;
}

export async function stagesOf({ client }: TemporalAccess, workflowId: string): Promise<Stages> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const times = new Map<string, { scheduled: number; over: number }>();
  const names = new Map<string, string>();
  const all = events ?? [];
  for (const event of all) {
    const at = Number(event.eventTime?.seconds ?? 0) * 1_000 + (event.eventTime?.nanos ?? 0) / 1e6;
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) {
      const name = scheduled.activityType?.name ?? '';
      names.set(String(event.eventId), name);
      if (!times.has(name)) times.set(name, { scheduled: at, over: at });
    }
    const completed = event.activityTaskCompletedEventAttributes;
    if (completed) {
      const time = times.get(names.get(String(completed.scheduledEventId)) ?? '');
      if (time !== undefined) time.over = at;
    }
  }
  const edge = (index: number): number => {
    const event = all.at(index);
    return Number(event?.eventTime?.seconds ?? 0) * 1_000 + (event?.eventTime?.nanos ?? 0) / 1e6;
  };
  const prepare = times.get('prepareCopy') ?? { scheduled: edge(0), over: edge(0) };
  const finish = times.get('finishCopy') ?? { scheduled: edge(-1), over: edge(-1) };
  return {
    accept: Math.round(prepare.scheduled - edge(0)),
    prepare: Math.round(prepare.over - prepare.scheduled),
    load: Math.round(finish.scheduled - prepare.over),
    finish: Math.round(finish.over - finish.scheduled),
    close: Math.round(edge(-1) - finish.over),
  };
}

export function stagesText(stages: Stages | null): string {
  if (stages === null) return '';
  return Object.entries(stages)
    .map(([name, ms]) => `${name} ${String(ms)}`)
    .join(' · ');
}
