import { condition, setHandler } from '@temporalio/workflow';
import type { ControlAnswer, LinkControlInput, RetryInput } from '../definitions/contracts/control.ts';
import type {
  ResyncInput,
  SetTableControl,
  VerifiedLink,
  VerifyAnswer,
  VerifyControl,
} from '../definitions/contracts/duplication.ts';
import type { DuplicationRun } from './duplication-run.ts';
import { failureWith } from './failures.ts';
import { refuse } from './job-control.ts';
import { alive, namesOf, willing } from './link-control.ts';
import { runErrand } from './link-errand.ts';
import type { LinkRun } from './link-run.ts';
import { promoteUpdate, resyncUpdate, retryUpdate, setTableUpdate, verifyUpdate } from './messages.ts';
import { linking, watching } from './proxies.ts';

const tableStates: readonly string[] = ['paused', 'live', 'removed'];
/** How long an order waits for what becomes of it before it is answered that it was taken. */
const answerWithin = '4 seconds';

/** Wires the Updates that ask a link for something, beside those that hold it or let it go. */
export function wireLinkOrders(run: DuplicationRun): void {
  setHandler(retryUpdate, (input: RetryInput) => retry(run, input), {
    description:
      'Argument: {"what": "waiting"} tries what waits at once; {"what": "skipped"} loads and applies what was set aside.',
    validator: (input: RetryInput) => validateRetry(run, input),
  });
  setHandler(promoteUpdate, (input: LinkControlInput) => promote(run, input), {
    description:
      'Follows the log to its end, then makes the target a database of its own. Argument: {"target": store}, or none.',
    validator: (input: LinkControlInput) => validatePromote(run, input),
  });
  setHandler(resyncUpdate, (input: ResyncInput) => resync(run, input), {
    description:
      'Loads again: {"table": name of a table or partition}, or without it everything. What is equal is kept.',
    validator: (input: ResyncInput) => validateResync(run, input),
  });
  setHandler(setTableUpdate, (input: SetTableControl) => setTable(run, input), {
    description: 'Argument: {"table": name, "state": "paused" | "live" | "removed"}; the other tables go on.',
    validator: (input: SetTableControl) => validateSetTable(run, input),
  });
  setHandler(verifyUpdate, (input: VerifyControl) => verify(run, input), {
    description:
      'Compares both sides while everything goes on. Argument: {"tables": names, "repair": true loads again what differs}.',
    validator: (input: VerifyControl) => validateVerify(run, input),
  });
}

/** The link is there, nobody holds it, and its loads are known: it can be worked on. */
function refuseUnlessAtWork({ target, held, begun, planned, promoting, restart }: LinkRun): void {
  if (held) refuse(`${target} is paused or stopped: resume it first.`);
  if (!begun || !planned || restart !== null) refuse(`${target} is still at its checkpoint.`);
  if (promoting) refuse(`${target} is being promoted.`);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function deadOf({ progress }: LinkRun): number {
  return progress?.deadTransactions ?? 0;
}

function validateRetry(run: DuplicationRun, input: RetryInput): void {
  const what: string = input.what;
  const links = alive(run, input);
  if (what === 'waiting') return;
  if (what !== 'skipped') refuse('`what` is "skipped" or "waiting".');
  willing(links, (link) => {
    if (link.loaded.totals.unitsSkipped + deadOf(link) === 0) refuse('Nothing was set aside.');
    refuseUnlessAtWork(link);
  });
}

async function retry(run: DuplicationRun, input: RetryInput): Promise<ControlAnswer> {
  const links = alive(run, input);
  if (input.what === 'waiting') {
    for (const link of links) link.wake();
    return { message: `What waits is tried at once: ${namesOf(links)}.` };
  }
  const answers = await Promise.all(links.map((link) => retrySetAside(link)));
  return { message: answers.filter((answer) => answer !== '').join(' ') };
}

async function retrySetAside(link: LinkRun): Promise<string> {
  const { load, loading, target } = link;
  const { unitsSkipped } = link.loaded.totals;
  const parts: string[] = [];
  if (unitsSkipped > 0) {
    if (loading && load.totals.unitsSkipped > 0) load.retryRequested = true;
    link.retryIncomplete();
    parts.push(`${unitsSkipped} chunk(s) are loaded after all.`);
  }
  if (deadOf(link) > 0 && !link.held) {
    const { retried, conflicts, progress } = await runErrand(link, {
      label: 'retry',
      summary: `Apply dead transactions of ${target}`,
      call: (options) => linking.retryDeadTransactions.executeWithOptions(options, [link.address]),
    });
    link.note(progress);
    parts.push(`${retried} transaction(s) are applied after all, with ${conflicts} conflict(s).`);
  }
  return parts.length === 0 ? '' : `${target}: ${parts.join(' ')}`;
}

function validatePromote(run: DuplicationRun, input: LinkControlInput | undefined): void {
  for (const link of alive(run, input)) {
    refuseUnlessAtWork(link);
    if ((link.progress?.consistentAt ?? null) === null) {
      throw failureWith(
        'link.notConsistent',
        `${link.target} is not equal to any one instant of its source yet.`,
      );
    }
  }
}

function promote(run: DuplicationRun, input: LinkControlInput | undefined): ControlAnswer {
  const links = alive(run, input);
  for (const link of links) {
    link.promoting = true;
    link.turns.interrupt();
    link.touch();
  }
  return {
    message: `Promotion has begun: ${namesOf(links)}. The log is followed to its end, then the link is cut; \`syncline status\` shows it.`,
  };
}

function validateResync(run: DuplicationRun, input: ResyncInput | undefined): void {
  const table: unknown = input?.table;
  if (table !== undefined && !isText(table)) refuse('`table` is the name of a table or partition.');
  for (const link of alive(run, input)) {
    if (table !== undefined) refuseUnlessAtWork(link);
    else if (isBeginning(link)) refuse(`${link.target} is at its checkpoint already.`);
    else if (link.promoting) refuse(`${link.target} is being promoted.`);
  }
}

function isBeginning({ begun, load, restart }: LinkRun): boolean {
  return restart !== null || (!begun && load.stopped === null);
}

async function resync(run: DuplicationRun, input: ResyncInput | undefined): Promise<ControlAnswer> {
  const links = alive(run, input);
  const table = input?.table;
  if (table === undefined) {
    for (const link of links) link.beginAgain(null);
    return { message: `Everything is loaded again: ${namesOf(links)}. Chunks that are equal are kept.` };
  }
  const answers = await Promise.all(links.map((link) => loadAgain(link, [table])));
  return { message: answers.join(' ') };
}

/** Answers what became of it when that is soon known, since names can be wrong. */
async function loadAgain(link: LinkRun, only: readonly string[]): Promise<string> {
  const id = link.want({ only, again: true, alone: true, missing: false });
  const isQueued = (): boolean => link.wanted.some(({ load }) => load === id);
  await condition(() => !isQueued() || link.followEnds || link.held || link.owner.draining, answerWithin);
  const refusal = link.refusals.get(id);
  if (refusal !== undefined) throw failureWith(refusal.code, `${link.target}: ${refusal.message}`);
  return `${link.target}: ${only.join(', ')} ${only.length === 1 ? 'is' : 'are'} loaded again (${id}).`;
}

function validateSetTable(run: DuplicationRun, input: SetTableControl): void {
  const { table, state }: { table: unknown; state: string } = input;
  if (!isText(table)) refuse('`table` is the name of a table.');
  if (!tableStates.includes(state)) refuse('`state` is paused, live or removed.');
  for (const link of alive(run, input)) {
    if (!link.begun || !link.planned || link.restart !== null)
      refuse(`${link.target} is still at its checkpoint.`);
  }
}

/** The follow is interrupted, so that it looks at the tables anew and no batch is under way that knows the old state. */
async function setTable(run: DuplicationRun, input: SetTableControl): Promise<ControlAnswer> {
  const { table, state } = input;
  const links = alive(run, input);
  await Promise.all(
    links.map(async (link) => {
      const progress = await runErrand(link, {
        label: `set ${table}`,
        summary: `${table} of ${link.target}: ${state}`,
        call: (options) =>
          watching.setLinkTable.executeWithOptions(options, [{ ...link.address, table, state }]),
      });
      link.note(progress);
    }),
  );
  return { message: `${table} is ${state}: ${namesOf(links)}.` };
}

function validateVerify(run: DuplicationRun, input: VerifyControl | undefined): void {
  const tables: unknown = input?.tables;
  const named = tables === undefined || (Array.isArray(tables) && tables.length > 0 && tables.every(isText));
  if (!named) refuse('`tables` is a list of names.');
  const repair: unknown = input?.repair;
  if (repair !== undefined && typeof repair !== 'boolean') refuse('`repair` is true or false.');
  for (const link of alive(run, input)) refuseUnlessAtWork(link);
}

async function verify(run: DuplicationRun, input: VerifyControl | undefined): Promise<VerifyAnswer> {
  const links = alive(run, input);
  const answers = await Promise.all(
    links.map(async (link) => {
      const { progress, ...verified } = await runErrand(link, {
        label: 'verify',
        summary: `Compare ${link.target} with its source`,
        call: (options) =>
          linking.verifyLink.executeWithOptions(options, [
            { ...link.address, mode: link.load.policy.mode, only: input?.tables ?? null },
          ]),
      });
      link.note(progress);
      return {
        target: link.target,
        message: await outcomeOf(link, verified, input?.repair === true),
        verified,
      };
    }),
  );
  return {
    message: answers.map(({ message }) => message).join(' '),
    links: answers.map(({ target, verified }) => ({ target, verified })),
  };
}

async function outcomeOf(
  link: LinkRun,
  { chunks, rows, different }: Omit<VerifiedLink, 'progress'>,
  repair: boolean,
): Promise<string> {
  const { target } = link;
  if (different.length === 0) return `${target}: ${chunks} chunk(s) with ${rows} rows are equal.`;
  const found = `${target}: ${different.length} of ${chunks} chunk(s) differ.`;
  if (!repair) return found;
  const names = different.map(({ chunk }) => chunk);
  await loadAgain(link, names);
  return `${found} They are loaded again.`;
}
