import type { Overdue } from './link-phases.ts';

/** What a link is waiting for an end of. */
export type Awaited =
  'checkpoint' | 'plan' | 'load' | 'catchUp' | 'complete' | 'follow' | 'drain' | 'promote' | 'remove';

export interface Underway {
  readonly what: Awaited;
  /** When it was begun, or moved last; ms since 1970. */
  readonly since: number;
  /** Time that it was asked to take. */
  readonly forMs?: number;
}

interface Deadline {
  readonly said: number;
  /** Infinity: it may honestly take that long. */
  readonly alarm: number;
  readonly text: (lasting: string) => string;
}

const second = 1_000;
const minute = 60_000;

const barrier =
  'transactions that were open on the source before it must end first; Pending Activities names them';

const deadlines: Readonly<Record<Awaited, Deadline>> = {
  checkpoint: {
    ...{ said: 30 * second, alarm: 5 * minute },
    text: (lasting) => `The checkpoint has been under way for ${lasting}: ${barrier}.`,
  },
  plan: {
    ...{ said: minute, alarm: 10 * minute },
    text: (lasting) => `A load has been in preparation for ${lasting}: ${barrier}.`,
  },
  load: {
    ...{ said: 10 * minute, alarm: Number.POSITIVE_INFINITY },
    text: (lasting) =>
      `No chunk of the load has ended for ${lasting}; Pending Activities shows how far those in flight are.`,
  },
  catchUp: {
    ...{ said: 10 * minute, alarm: 60 * minute },
    text: (lasting) =>
      `The load has been over for ${lasting}, but the log has not come past it: it is not consistent yet.`,
  },
  complete: {
    ...{ said: 5 * minute, alarm: 60 * minute },
    text: (lasting) => `Foreign keys and statistics have been under way on the target for ${lasting}.`,
  },
  follow: {
    ...{ said: minute, alarm: minute },
    text: (lasting) =>
      `The log has been followed for ${lasting} without an answer; Pending Activities shows where it is.`,
  },
  drain: {
    ...{ said: 2 * minute, alarm: 10 * minute },
    text: (lasting) =>
      `The end of the log has not been reached for ${lasting}; a promotion goes on when it is.`,
  },
  promote: {
    ...{ said: minute, alarm: 10 * minute },
    text: (lasting) => `The promotion has been under way for ${lasting}.`,
  },
  remove: {
    ...{ said: minute, alarm: 5 * minute },
    text: (lasting) =>
      `The clean-up has been under way for ${lasting}; a side that is gone for ever can be abandoned.`,
  },
};

/** What has taken longer than it should, the first of these; null: nothing. */
export function overdueOf(underway: readonly Underway[], now: number): Overdue | null {
  let first: Overdue | null = null;
  for (const { what, since, forMs = 0 } of underway) {
    const { said, alarm, text } = deadlines[what];
    const lasted = now - since;
    if (lasted < said + forMs) continue;
    const overdue = { message: text(minutes(lasted)), needsAttention: lasted >= alarm + forMs };
    if (overdue.needsAttention) return overdue;
    first ??= overdue;
  }
  return first;
}

/** When one of these comes to its next deadline, ms since 1970; null: never. */
export function nextDeadline(underway: readonly Underway[], now: number): number | null {
  const times = underway.flatMap(({ what, since, forMs = 0 }) => {
    const { said, alarm } = deadlines[what];
    return [since + forMs + said, since + forMs + alarm].filter((at) => at > now && Number.isFinite(at));
  });
  return times.length === 0 ? null : Math.min(...times);
}

function minutes(ms: number): string {
  return ms < minute ? `${Math.floor(ms / second)} s` : `${Math.floor(ms / minute)} min`;
}
