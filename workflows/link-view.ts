import type { LinkView } from '../planning/duplication-status.ts';
import { overdueOf, type Underway } from '../planning/link-deadlines.ts';
import { linkStatusOf } from '../planning/link-phases.ts';
import { type Trouble, worstTrouble } from '../planning/progress.ts';
import { needsAttention } from '../planning/retry-budget.ts';
import type { LinkRun } from './link-run.ts';

/** What a link looks like now, for the status. */
export function viewOf(link: LinkRun, { failed }: { readonly failed: boolean }): LinkView {
  const { load, target, step, generation, because, promoting, ended, progress, lateReports } = link;
  const { totals, plan } = link.loaded;
  const { mode, attempts } = load.policy;
  const { log, retention } = link.owner.job;
  return {
    ...{ totals, plan, onFailure: { mode, attempts } },
    unitsInFlight: load.dispatch.inFlightBatches.reduce((units, { batch }) => units + batch.units, 0),
    status: linkStatusOf({
      ...{ target, step, generation, because, promoting, ended, progress, lateReports, failed, retention },
      ...{ paused: load.paused, pauseReason: load.pauseReason, stopped: load.stopped, busy: link.busy },
      removing: link.removal !== null,
      trouble: troubleOf(link),
      overdue: overdueOf(underwayOf(link), Date.now()),
      unitsSkipped: totals.unitsSkipped,
      laggingAfterMs: log.laggingAfterMs,
    }),
  };
}

/** What fails just now and is tried again; of several, one that somebody should look at. */
function troubleOf({ load, main, planning, promotion, followTrouble }: LinkRun): Trouble | null {
  const troubles = [
    ...[load, main, planning, promotion].map(({ stepTrouble }) => stepTrouble),
    ...[followTrouble, worstTrouble(load.dispatch.waitingBatches)],
  ].filter((trouble) => trouble !== null);
  return troubles.find((trouble) => needsAttention(trouble)) ?? troubles[0] ?? null;
}

/** What is awaited, the most telling first. */
export function underwayOf(link: LinkRun): readonly Underway[] {
  const { main, planning, promotion, load, removal } = link;
  if (link.ended !== null) return [];
  if (removal !== null) return [{ what: 'remove', since: link.removalSince }];
  const underway: Underway[] = [];
  if (main.stepRunning) underway.push({ what: link.begun ? 'complete' : 'checkpoint', since: main.since });
  if (planning.stepRunning) underway.push({ what: 'plan', since: planning.since });
  if (promotion.stepRunning) underway.push({ what: 'promote', since: promotion.since });
  if (load.dispatch.inFlightBatches.length > 0) underway.push({ what: 'load', since: link.loadMovedAt });
  if (link.turns.following) underway.push(following(link));
  if (catchesUp(link)) underway.push({ what: 'catchUp', since: link.loadMovedAt });
  return underway;
}

function following({ promoting, turns, forMs }: LinkRun): Underway {
  const { followSince } = turns;
  return promoting ? { what: 'drain', since: followSince } : { what: 'follow', since: followSince, forMs };
}

function catchesUp({ planned, loading, prepared, progress, held }: LinkRun): boolean {
  return planned && !loading && prepared.length === 0 && !held && (progress?.consistentAt ?? null) === null;
}
