import { ActivityFailure } from '@temporalio/common';
import { type ActivityOptions, isCancellation } from '@temporalio/workflow';
import { decideFollowFailure } from '../planning/link-follow.ts';
import { quickAttempts } from '../planning/retry-budget.ts';
import { callFailureOf, failureWith } from './failures.ts';
import type { LinkRun } from './link-run.ts';
import { callOptions } from './proxies.ts';

export interface Errand<T> {
  readonly label: string;
  readonly summary: string;
  call(options: ActivityOptions): Promise<T>;
}

/**
 * What an operator asked for, with the link for itself: tried a few times, then answered, whatever comes of it. It fails
 * with the code of the activity, or `job.refused` when it was taken back.
 */
export async function runErrand<T>(link: LinkRun, errand: Errand<T>): Promise<T> {
  const { load, owner, target } = link;
  const { label, summary } = errand;
  const name = { activityId: owner.activityId(`${label} ${target}`), summary };
  try {
    return await load.scope.run(() =>
      link.turns.alone(() => unlessLost(link, () => errand.call(callOptions(load, name, quickAttempts)))),
    );
  } catch (error) {
    if (isCancellation(error))
      throw failureWith('job.refused', `${target}: it was taken back by a pause, a removal or a new load.`);
    const { code, message, details } = callFailureOf(error, quickAttempts);
    throw failureWith(code, `${target}: ${message}`, details);
  }
}

/** A call that finds the log lost begins the next generation by itself, under `slow`; it counts as taken back then. */
export async function unlessLost<T>(link: LinkRun, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof ActivityFailure) {
      const { code, message } = callFailureOf(error, quickAttempts);
      const decision = decideFollowFailure({ code, attempts: 1 }, link.load.policy);
      if (decision.next === 'again') link.beginAgain({ code, message });
    }
    throw error;
  }
}
