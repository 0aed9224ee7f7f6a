import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
} from '@temporalio/workflow';
import type { DuplicationInput, DuplicationResult } from '../definitions/contracts/duplication.ts';
import { DuplicationRun } from './duplication-run.ts';
import { failureWith } from './failures.ts';
import { wireLinkControl } from './link-control.ts';
import { runLink } from './link-loop.ts';
import { wireLinkOrders } from './link-orders.ts';

const cancelled =
  'The workflow was cancelled; ledgers and slots stay, and the source keeps log for them: run or remove it.';

/**
 * A live copy on every target: each link lives by itself, from its checkpoint to its promotion or removal. Workflow id
 * `duplication/<job>`. Ends only by Updates; fails with an error code as type when no link could even begin
 * (`preflight.refused`, details: findings), or when links are left that cannot be removed.
 */
export async function duplication(input: DuplicationInput): Promise<DuplicationResult> {
  const run = new DuplicationRun(input);
  wireLinkControl(run);
  wireLinkOrders(run);
  CancellationScope.current().cancelRequested.catch(() => {
    for (const link of run.links) {
      link.load.cancelRequested = true;
      link.load.interrupt();
      link.touch();
    }
  });
  // Each link decides itself what a cancellation interrupts: the clean-up of a removal, for one, goes on.
  return await CancellationScope.nonCancellable(() => runToEnd(run, input));
}

async function runToEnd(run: DuplicationRun, input: DuplicationInput): Promise<DuplicationResult> {
  await Promise.all([...run.links.map(runLink), conduct(run)]);
  try {
    if (run.links.every(({ ended }) => ended !== null)) {
      const { result } = run;
      run.end(result.state);
      return result;
    }
    const failure = run.failure ?? run.links.find(({ isBeyondRemoval }) => isBeyondRemoval)?.removalFailed;
    if (failure !== null && failure !== undefined && !run.leaving) {
      run.end('failed', failure.message);
      throw failureWith(failure.code, failure.message, failure.details);
    }
    endIfCancelled(run);
  } finally {
    await condition(allHandlersFinished);
  }
  endIfCancelled(run);
  return await continueAsNew<typeof duplication>({ ...input, carried: run.carried });
}

function endIfCancelled(run: DuplicationRun): void {
  if (!run.links.some(({ load }) => load.cancelRequested)) return;
  run.end('failed', cancelled);
  throw new CancelledFailure(cancelled);
}

/** What concerns the links as a whole: none of them could begin, or the history is long and nothing holds it back. */
async function conduct(run: DuplicationRun): Promise<void> {
  await condition(() => run.isOver || run.onlyFailuresLeft || run.mayLeave || refusalOf(run) !== null);
  const refusal = refusalOf(run);
  if (refusal !== null) run.failure = refusal;
  else if (!run.isOver && run.mayLeave) run.leaving = true;
  for (const link of run.links) {
    if (refusal !== null) link.load.fatal = refusal;
    if (run.leaving || refusal !== null) link.turns.interrupt();
    link.touch();
  }
}

/** What the first link was refused for, when all of them were. */
function refusalOf({ links }: DuplicationRun): DuplicationRun['failure'] {
  return links.every(({ refused }) => refused !== null) ? (links[0]?.refused ?? null) : null;
}
