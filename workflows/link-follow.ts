import { condition } from '@temporalio/workflow';
import type { EndedLink, Followed, FollowInput } from '../definitions/contracts/duplication.ts';
import {
  decideFollowFailure,
  firstWatchMs,
  isShortFollow,
  nextWatchMs,
  pauseBeforeFollowMs,
} from '../planning/link-follow.ts';
import { quickAttempts } from '../planning/retry-budget.ts';
import { callFailureOf } from './failures.ts';
import type { LinkRun } from './link-run.ts';
import { callOptions, linking, watching } from './proxies.ts';
import { runStep } from './steps.ts';

/**
 * Follows the log again and again. It gives way to whoever needs the link for itself, and looks after what the source
 * keeps while nobody follows. It ends when the link does, or when everything is to be loaded again.
 */
export async function followLoop(link: LinkRun): Promise<void> {
  const watch = new LinkWatch(link);
  while (!link.followEnds) {
    if (link.held) await watch.turn();
    else if (link.turns.isAlone) await condition(() => !link.turns.isAlone || link.followEnds);
    else if (!link.planned) await condition(() => link.planned || link.held || link.followEnds);
    else if (link.drained) await promote(link);
    else await followOnce(link, watch);
  }
}

async function followOnce(link: LinkRun, watch: LinkWatch): Promise<void> {
  const { load, target, owner } = link;
  const name = { activityId: owner.activityId(`follow ${target}`), summary: `Follow the log to ${target}` };
  const begunAt = Date.now();
  watch.rest();
  const end = await attempt(link, () => {
    const { mode } = load.policy;
    const input: FollowInput = {
      ...link.address,
      ...{ mode, forMs: link.forMs },
      ...(link.promoting ? { drain: true } : {}),
      ...(link.plansMore ? { planning: true } : {}),
    };
    return linking.followLog.executeWithOptions(callOptions(load, name, quickAttempts), [input]);
  });
  if (end === 'takenBack') return;
  if (end !== 'failed') await absorb(link, end, { short: isShortFollow(Date.now() - begunAt) });
  else if (!link.held && !link.followEnds) {
    await watch.ifDue();
    await untilNextAttempt(link);
  }
}

/** `failed`: what becomes of the link is decided. */
async function attempt(
  link: LinkRun,
  act: () => Promise<Followed>,
): Promise<Followed | 'takenBack' | 'failed'> {
  try {
    return await link.turns.follow(act);
  } catch (error) {
    if (link.turns.takenBack) return 'takenBack';
    const { code, message, attempts } = callFailureOf(error, quickAttempts);
    const { load } = link;
    link.followFailures += attempts;
    const decision = decideFollowFailure({ code, attempts: Math.max(1, link.followFailures) }, load.policy);
    link.followTrouble = { code, message, attempts: link.followFailures };
    link.quietFollows = 0;
    link.waitMs = decision.next === 'wait' ? decision.waitMs : 0;
    if (decision.next === 'again') link.beginAgain({ code, message });
    if (decision.next === 'stop') {
      link.followFailures = 0;
      load.stopped ??= { code, message };
    }
    link.touch();
    return 'failed';
  }
}

async function untilNextAttempt(link: LinkRun): Promise<void> {
  const { load } = link;
  const { wakes } = load;
  load.publish();
  await condition(
    () => link.held || link.followEnds || link.turns.isAlone || load.wakes !== wakes,
    Math.max(1, link.waitMs),
  );
}

async function absorb(link: LinkRun, followed: Followed, took: { readonly short: boolean }): Promise<void> {
  link.noteFollowed(followed, took);
  if (followed.why === 'tables') link.wantNewTables();
  if (followed.why === 'drained') link.drained = link.promoting;
  link.load.publish();
  const pauseMs = pauseBeforeFollowMs(link.shortFollows);
  if (pauseMs > 0) await condition(() => link.held || link.followEnds || link.turns.isAlone, pauseMs);
}

/** The log has been followed to its end: what is left is to cut the link. */
async function promote(link: LinkRun): Promise<void> {
  const promoted = await runStep<EndedLink>(link.promotion, {
    label: `promote ${link.target}`,
    summary: `Sequences and identities on ${link.target}, then the end of the link`,
    call: (options) => linking.promoteLink.executeWithOptions(options, [link.address]),
    refused: () => undefined,
  });
  if ('value' in promoted) link.end('promoted', promoted.value);
}

/** Looks after what is kept for a link that nobody follows, so that `retention.maxLog` acts. */
class LinkWatch {
  private readonly link: LinkRun;
  private dueAt = Date.now() + firstWatchMs;
  private last: { retainedBytes: number | null; intervalMs: number } = {
    retainedBytes: null,
    intervalMs: firstWatchMs,
  };
  private holding = false;

  constructor(link: LinkRun) {
    this.link = link;
  }

  /** Somebody follows again. */
  rest(): void {
    this.holding = false;
  }

  /** Waits until something changes, or looks. */
  async turn(): Promise<void> {
    const { link } = this;
    link.load.publish();
    if (!link.isKept) {
      await condition(() => !link.held || link.followEnds);
      return;
    }
    // What was known when the follow ended is old: the first look is at once.
    if (!this.holding) this.dueAt = Math.min(this.dueAt, Date.now());
    this.holding = true;
    const { paused, stopped } = link.load;
    const changed = (): boolean =>
      !link.held || link.followEnds || link.load.paused !== paused || link.load.stopped !== stopped;
    const waitMs = this.dueAt - Date.now();
    if (waitMs > 0 && (await condition(changed, waitMs))) return;
    await this.ifDue();
  }

  async ifDue(): Promise<void> {
    const { link } = this;
    if (Date.now() < this.dueAt || !link.isKept) return;
    const { load, owner, target } = link;
    const name = { activityId: owner.activityId(`watch ${target}`), summary: `What is kept for ${target}` };
    try {
      const { progress, exceeded } = await link.turns.interruptible(() =>
        watching.watchLink.executeWithOptions(callOptions(load, name, 1), [link.address]),
      );
      if (progress !== null) link.note(progress);
      if (exceeded && owner.job.retention.onExceed === 'stop') {
        load.stopped = {
          code: 'log.retentionExceeded',
          message: 'More log was kept than `retention.maxLog` allows, so its slot was dropped.',
        };
      }
      this.noteRetained(progress?.retainedBytes ?? null);
    } catch (error) {
      if (!link.turns.takenBack) callFailureOf(error, 1);
      this.noteRetained(null);
    }
    load.publish();
  }

  private noteRetained(retainedBytes: number | null): void {
    const { maxLogBytes } = this.link.owner.job.retention;
    const intervalMs = nextWatchMs(this.last, { retainedBytes }, maxLogBytes);
    this.last = { retainedBytes, intervalMs };
    this.dueAt = Date.now() + intervalMs;
  }
}
