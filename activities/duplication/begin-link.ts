import type { BegunLink, LinkInput } from '../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { loadsOf } from '../../planning/link-load.ts';
import type { BeginLog, LogStart, Waiting } from '../../stores/spi/log.ts';
import type { LinkState, NewLink } from '../../stores/spi/log-target.ts';
import { refuseOn, warningsOf } from '../copy/prepare-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { type DescribedLink, describeLink } from './describe-link.ts';
import { progressOf } from './follow/progress.ts';
import { expectRetained, type Link, linkOf } from './link.ts';
import { writeLinkPlan } from './prepare-link-load.ts';

/** A long transaction may be waited for; whoever looks is told by name which. */
const barrierDeadlineMs = 10 * 60_000;

/**
 * The checkpoint of a link: checks, then publication, slot and barrier on the source, then the link's row on the target.
 * Where the ledger knows the link already it goes on from there; a later generation than the one asked for wins.
 */
export async function beginLink(dependencies: ActivityDependencies, input: LinkInput): Promise<BegunLink> {
  const link = linkOf(dependencies.stores, input);
  let waiting: readonly Waiting[] = [];
  return await withHeartbeat(
    () => ({ target: input.target, doing: 'checkpoint', waitingFor: namesOf(waiting) }),
    async (signal) => {
      const found = await describeLink(dependencies, link);
      refuseOn(found.findings);
      const known = await link.applied.read(link.ref);
      const begin: BeginLog = {
        address: link.address,
        tables: found.published,
        deadlineMs: barrierDeadlineMs,
        signal,
        waiting: (who) => {
          waiting = who;
        },
      };
      const state =
        known !== null && known.generation >= input.generation
          ? await resumed(link, known)
          : await begun(link, known, begin);
      const { checkpoint } = input.job.load;
      const later = await laterLoads(link, state.generation);
      if (!checkpoint && state.generation === 1) await assumeEqual(dependencies, link, found);
      return {
        warnings: warningsOf(found.findings),
        generation: state.generation,
        progress: progressOf({ state, retained: await link.log.retained(link.address), special: [] }),
        loads: checkpoint || state.generation > 1,
        ...(later.next === 1 ? {} : { later }),
      };
    },
  );
}

/** Loads of an earlier workflow beyond the first: what of them is missing is still to be loaded. */
async function laterLoads(
  { ledger, ref }: Link,
  generation: number,
): Promise<NonNullable<BegunLink['later']>> {
  const prefix = `${loadsOf(generation)}/`;
  const loads = (await ledger.plans.all(ref.job)).filter((load) => load.ref.load.startsWith(prefix));
  const unfinished: string[] = [];
  for (const load of [...loads].reverse()) {
    const { unitsDone } = await ledger.totals(load.ref);
    if (unitsDone < load.totals.units) unfinished.push(load.ref.load);
  }
  const numbers = loads.map((load) => Number(load.ref.load.slice(prefix.length)));
  return { next: Math.max(0, ...numbers) + 1, unfinished };
}

function namesOf(waiting: readonly Waiting[]): string[] {
  return waiting.slice(0, 5).map(({ what, name, database }) => `${what} of ${name} in ${database}`);
}

async function resumed(link: Link, known: LinkState): Promise<LinkState> {
  await expectRetained(link);
  return known;
}

/** A slot of the same name that no row speaks of is one that was made just before a crash, or of an earlier generation. */
async function begun(link: Link, known: LinkState | null, begin: BeginLog): Promise<LinkState> {
  if (known !== null) await link.log.end(link.address);
  const start = await beginOrEnd(link, begin);
  return known === null
    ? await link.applied.create(newLink(link, start))
    : await link.applied.restart(newLink(link, start));
}

/** Taken back (paused, removed) it leaves nothing: nobody would watch how much log the source keeps for a link that is not there. */
async function beginOrEnd({ log, address }: Link, begin: BeginLog): Promise<LogStart> {
  try {
    const start = await log.begin(begin);
    begin.signal.throwIfAborted();
    return start;
  } catch (error) {
    if (begin.signal.aborted) await log.end(address);
    throw error;
  }
}

function newLink({ ref, address }: Link, start: LogStart): NewLink {
  const { slot, publication } = address;
  return { ref, slot, publication, ...start };
}

/** Without a checkpoint nothing is loaded: the plan only says which leaf is which, and its chunks count as loaded. */
async function assumeEqual(
  dependencies: ActivityDependencies,
  link: Link,
  found: DescribedLink,
): Promise<void> {
  const missing = found.tables.filter(({ match }) => match.create);
  const [first] = missing;
  if (first !== undefined) {
    throw new SynclineError(
      'target.tableMissing',
      `Without a checkpoint ${first.target.schema}.${first.target.name} must be on the target, with all partitions.`,
    );
  }
  await writeLinkPlan(dependencies, link, { load: loadsOf(1), tables: found.tables });
}
