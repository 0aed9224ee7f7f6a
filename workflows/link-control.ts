import { condition, setHandler } from '@temporalio/workflow';
import type {
  ControlAnswer,
  LinkControlInput,
  PauseInput,
  RemoveInput,
  SetPolicyInput,
  SkipInput,
} from '../definitions/contracts/control.ts';
import type { DuplicationRun } from './duplication-run.ts';
import { refuse, setPolicy, skip, validatePolicy, validateSkip } from './job-control.ts';
import type { LinkRun } from './link-run.ts';
import {
  pauseUpdate,
  removeUpdate,
  resumeUpdate,
  setPolicyUpdate,
  skipUpdate,
  statusQuery,
} from './messages.ts';

/**
 * Wires Updates and Query to the links; call it before the first await. An Update is for the link that it names, or for
 * all of them, and is refused when none of these can obey.
 */
export function wireLinkControl(run: DuplicationRun): void {
  setHandler(statusQuery, () => run.status, {
    description: 'Where each link is, how far behind it is, what it waits for.',
  });
  setHandler(pauseUpdate, (input: PauseInput) => pause(run, input), {
    description:
      'Takes back what is in flight, load and log. Argument: {"target": store, "reason": text}, each optional.',
    validator: (input: PauseInput) => validatePause(run, input),
  });
  setHandler(resumeUpdate, (input: LinkControlInput) => resume(run, input), {
    description: 'Goes on after a pause or a stop. Argument: {"target": store}, or none.',
    validator: (input: LinkControlInput) => validateResume(run, input),
  });
  setHandler(skipUpdate, (input: SkipInput) => skipUnits(run, input), {
    description:
      'Sets failing units of a load aside. Argument: {"unit": ordinal | "failing", "target": store}, the target optional.',
    validator: (input: SkipInput) => validateSkips(run, input),
  });
  setHandler(setPolicyUpdate, (input: SetPolicyInput) => setPolicies(run, input), {
    description:
      'Argument: {"mode": "slow" | "skip" | "stop", "attempts": number, "parallel": number, "target": store}, each optional.',
    validator: (input: SetPolicyInput) => validatePolicies(run, input),
  });
  setHandler(removeUpdate, (input: RemoveInput) => remove(run, input), {
    description:
      'Ends links and cleans up on both sides. Argument: {"target": store, "abandon": "source" | "target"}, each optional.',
    validator: (input: RemoveInput) => validateRemove(run, input),
  });
}

/** The links that an Update is for; the web UI sends it without argument, too. */
export function chosen(run: DuplicationRun, input: LinkControlInput | undefined): readonly LinkRun[] {
  const target: unknown = input?.target;
  if (target !== undefined && typeof target !== 'string') refuse('`target` is the name of a store.');
  const links = run.linksOf(target);
  if (links.length === 0) refuse(`The job has no target ${target ?? ''}.`);
  return links;
}

/** Those of them that can still be told something. */
export function alive(run: DuplicationRun, input: LinkControlInput | undefined): readonly LinkRun[] {
  const links = chosen(run, input);
  const living = links.filter(({ ended, removal, removalFailed, load }) => {
    return ended === null && removal === null && removalFailed === null && !load.cancelRequested;
  });
  if (living.length > 0) return living;
  if (links.every(({ ended }) => ended !== null)) refuse('It is over.');
  return refuse(
    links.some(({ removalFailed }) => removalFailed !== null)
      ? 'Its removal was begun: remove it again.'
      : 'It is being removed or cancelled.',
  );
}

export function namesOf(links: readonly LinkRun[]): string {
  return links.map(({ target }) => target).join(', ');
}

function validatePause(run: DuplicationRun, input: PauseInput | undefined): void {
  alive(run, input);
  const reason: unknown = input?.reason;
  if (reason !== undefined && typeof reason !== 'string') refuse('`reason` is a text.');
}

/** Answers when everything in flight has come back, or when somebody decided otherwise meanwhile. */
async function pause(run: DuplicationRun, input: PauseInput | undefined): Promise<ControlAnswer> {
  const links = alive(run, input).filter(({ load }) => !load.paused);
  if (links.length === 0) return { message: 'It is paused already.' };
  for (const { load } of links) {
    load.paused = true;
    load.pauseReason = input?.reason ?? null;
    load.interrupt();
    load.touch();
  }
  await condition(() => links.every((link) => !link.busy || !isPausing(link)));
  return links.every(isPausing)
    ? { message: `Paused: ${namesOf(links)}; nothing is in flight, and the source keeps its log.` }
    : { message: 'It went on meanwhile.' };
}

function isPausing({ load, removal }: LinkRun): boolean {
  return load.paused && removal === null && !load.cancelRequested;
}

function validateResume(run: DuplicationRun, input: LinkControlInput | undefined): void {
  if (!alive(run, input).some(({ held }) => held)) refuse('It is neither paused nor stopped.');
}

function resume(run: DuplicationRun, input: LinkControlInput | undefined): ControlAnswer {
  const links = alive(run, input).filter(({ held }) => held);
  for (const link of links) link.resume();
  const again = links.filter(({ restart }) => restart !== null);
  const reload = again.length === 0 ? '' : ` Everything is loaded again for ${namesOf(again)}.`;
  return { message: `It goes on: ${namesOf(links)}.${reload}` };
}

function validateSkips(run: DuplicationRun, input: SkipInput): void {
  willing(alive(run, input), ({ load }) => validateSkip(load, input));
}

function skipUnits(run: DuplicationRun, input: SkipInput): ControlAnswer {
  const links = willing(alive(run, input), ({ load }) => validateSkip(load, input));
  return { message: links.map(({ target, load }) => `${target}: ${skip(load, input).message}`).join(' ') };
}

/** Those that do not refuse; when all of them do, the first refusal stands. */
export function willing(links: readonly LinkRun[], validate: (link: LinkRun) => void): readonly LinkRun[] {
  let first: unknown = null;
  const ready = links.filter((link) => {
    try {
      validate(link);
      return true;
    } catch (error) {
      first ??= error;
      return false;
    }
  });
  if (ready.length === 0) throw first;
  return ready;
}

function validatePolicies(run: DuplicationRun, input: SetPolicyInput): void {
  for (const { load } of alive(run, input)) validatePolicy(load, input);
}

/** The follow is begun again, since it was told the mode when it began. */
function setPolicies(run: DuplicationRun, input: SetPolicyInput): ControlAnswer {
  const links = alive(run, input);
  const answers = links.map((link) => {
    const { message } = setPolicy(link.load, input);
    link.turns.interrupt();
    return message;
  });
  const same = answers.every((answer) => answer === answers[0]);
  return { message: same ? (answers[0] ?? '') : answers.join(' ') };
}

function validateRemove(run: DuplicationRun, input: RemoveInput | undefined): void {
  const abandon: unknown = input?.abandon;
  if (abandon !== undefined && abandon !== 'source' && abandon !== 'target') {
    refuse('`abandon` is "source" or "target".');
  }
  if (chosen(run, input).every(({ ended }) => ended !== null)) refuse('It is over.');
}

function remove(run: DuplicationRun, input: RemoveInput | undefined): ControlAnswer {
  const links = chosen(run, input).filter(({ ended, removal }) => ended === null && removal === null);
  if (links.length === 0) return { message: 'It is being removed already.' };
  for (const link of links) link.remove(input?.abandon ?? null);
  return { message: `It is being removed: the clean-up of ${namesOf(links)} has begun.` };
}
