import { ActivityFailure } from '@temporalio/common';
import { condition } from '@temporalio/workflow';
import type { BegunLink, PreparedLinkLoad, WantedLoad } from '../definitions/contracts/duplication.ts';
import { quickAttempts } from '../planning/retry-budget.ts';
import { type CallFailure, callFailureOf } from './failures.ts';
import { followLoop } from './link-follow.ts';
import { unlessLost } from './link-errand.ts';
import type { LinkRun } from './link-run.ts';
import { loadPasses } from './load-pass.ts';
import { linking, removal } from './proxies.ts';
import { isIncurable, runStep } from './steps.ts';

/** The life of one link: checkpoint, then load and log beside each other, generation after generation, until it is over. */
export async function runLink(link: LinkRun): Promise<void> {
  const { owner } = link;
  for (;;) {
    // Nothing new is begun while others end what they have in flight; a removal never waits for anybody.
    await condition(() => link.over || link.removal !== null || owner.onlyFailuresLeft || mayGoOn(link));
    if (link.over || (link.isBeyondRemoval && owner.onlyFailuresLeft)) return;
    if (link.removal !== null) await removeLink(link);
    else await live(link);
  }
}

function mayGoOn({ owner, removalFailed }: LinkRun): boolean {
  return !owner.draining && removalFailed === null;
}

async function live(link: LinkRun): Promise<void> {
  if (link.restart !== null) link.beginGeneration();
  if (!link.begun && !(await engaged(link, () => begin(link)))) return;
  await Promise.all([
    followLoop(link),
    engaged(link, () => planLoop(link)),
    engaged(link, () => loadLoop(link)),
  ]);
}

/** Nothing cuts these off between two steps: continue-as-new waits until they have let go. */
async function engaged<T>(link: LinkRun, act: () => Promise<T>): Promise<T> {
  link.engaged += 1;
  try {
    return await act();
  } finally {
    link.engaged -= 1;
    link.touch();
  }
}

/** Answers whether the link is there now. */
async function begin(link: LinkRun): Promise<boolean> {
  link.step = 'checkpoint';
  const begun = await runStep<BegunLink>(link.main, {
    label: `checkpoint ${link.target}`,
    summary: `Publication, slot and barrier for ${link.target}`,
    call: (options) => {
      link.refused = null;
      return unlessLost(link, () => linking.beginLink.executeWithOptions(options, [link.address]));
    },
    refused: (failure) => {
      if (link.generation === 1) link.refused = failure;
    },
  });
  if ('ending' in begun) return false;
  const { generation, progress, loads, warnings, later } = begun.value;
  const { load } = link;
  load.warnings = [...load.warnings, ...warnings];
  link.generation = generation;
  link.step = loads ? 'load' : 'log';
  link.planned = !loads;
  link.loads = 0;
  if (loads) link.want({ only: null, again: generation > 1, alone: false, missing: false });
  link.loads = Math.max(1, later?.next ?? 1);
  const known = { only: null, again: generation > 1, alone: false, missing: false };
  link.wanted = [...link.wanted, ...(later?.unfinished ?? []).map((id) => ({ ...known, load: id }))];
  link.note(progress);
  return true;
}

/** Plans one load after another, while the log is followed and others are loaded. */
async function planLoop(link: LinkRun): Promise<void> {
  const { load } = link;
  while (load.ending === null) {
    const [next] = link.wanted;
    if (next === undefined) {
      await condition(() => load.ending !== null || link.wanted.length > 0);
    } else if (!(await plan(link, next))) return;
  }
}

type Planned = PreparedLinkLoad | { readonly refusal: CallFailure };

/** Beside loads and log a refusal is an answer: a table that joined and cannot be carried must not stop the others. */
async function answered(
  { planned }: LinkRun,
  { alone }: WantedLoad,
  act: () => Promise<PreparedLinkLoad>,
): Promise<Planned> {
  try {
    return await act();
  } catch (error) {
    if (!planned || !(error instanceof ActivityFailure)) throw error;
    const refusal = callFailureOf(error, quickAttempts);
    const isAnswer = isIncurable(refusal) || (alone && refusal.code === 'link.unknownTable');
    if (!isAnswer) throw error;
    return { refusal };
  }
}

async function plan(link: LinkRun, next: WantedLoad): Promise<boolean> {
  const { load: id, only, again, alone, missing } = next;
  const planned = await runStep<Planned>(link.planning, {
    label: `plan ${id} ${link.target}`,
    summary: `Plan load ${id} of ${link.target}`,
    call: (options) => {
      const act = (): Promise<PreparedLinkLoad> =>
        linking.prepareLinkLoad.executeWithOptions(options, [{ ...link.address, load: id, only, again }]);
      return unlessLost(link, () => answered(link, next, () => (alone ? link.turns.alone(act) : act())));
    },
    refused: () => undefined,
  });
  if ('ending' in planned) return false;
  if (planned.value !== null && 'refusal' in planned.value) {
    link.drop(next, planned.value.refusal);
    return true;
  }
  const prepared = planned.value;
  link.wanted = link.wanted.filter((other) => other !== next);
  if (prepared !== null) {
    if (!link.planned) link.first = prepared.ref;
    link.prepared = [...link.prepared, { prepared, again, missing }];
  }
  link.planned = true;
  link.touch();
  return true;
}

/** Loads what is planned, one load after another, and completes the target when it is consistent. */
async function loadLoop(link: LinkRun): Promise<void> {
  const { load } = link;
  while (load.ending === null) {
    const [next] = link.prepared;
    if (link.loading) {
      if ((await loadPasses(load)) !== 'finished') return;
      link.endLoad();
    } else if (next !== undefined) {
      link.prepared = link.prepared.slice(1);
      link.beginLoad(next);
    } else if (link.completes) {
      if (!(await complete(link))) return;
    } else {
      link.load.publish();
      await condition(() => load.ending !== null || link.prepared.length > 0 || link.completes);
    }
  }
}

async function complete(link: LinkRun): Promise<boolean> {
  const { load } = link;
  const completed = await runStep(link.main, {
    label: `complete ${link.target}`,
    summary: `Foreign keys and statistics on ${link.target}`,
    call: (options) =>
      linking.completeLink.executeWithOptions(options, [{ ...link.address, ref: link.first }]),
    refused: () => undefined,
  });
  if ('ending' in completed) return false;
  load.warnings = [...load.warnings, ...completed.value.warnings];
  link.completed = true;
  link.step = 'log';
  link.because = null;
  link.touch();
  load.publish();
  return true;
}

/** Bounded: what cannot be cleaned up is said, and the link stays to be removed again. */
async function removeLink(link: LinkRun): Promise<void> {
  const { load, target, owner } = link;
  const abandon = link.removal?.abandon ?? null;
  link.removalSince = Date.now();
  load.publish();
  try {
    const options = {
      activityId: owner.activityId(`remove ${target}`),
      summary: `Clean up both sides of ${target}`,
    };
    const ended = await engaged(link, () =>
      removal.removeLink.executeWithOptions(options, [{ ...link.address, abandon }]),
    );
    link.end('removed', ended);
  } catch (error) {
    const failure = callFailureOf(error, 1);
    const { code, message } = failure;
    link.removalFailed = failure;
    link.removal = null;
    load.removeRequested = false;
    load.stopped = { code, message: `It could not be removed: ${message}` };
    link.touch();
    load.publish();
  }
}
