import type {
  EndedLink,
  LinkProgress,
  LinkReason,
  LinkStatus,
  LinkStep,
} from '../definitions/contracts/duplication.ts';
import type { ResolvedRetention } from '../definitions/contracts/job.ts';
import type { JobPhase, JobState } from '../definitions/contracts/status.ts';
import type { ErrorCode } from '../definitions/errors.ts';
import type { Trouble } from './progress.ts';
import { needsAttention } from './retry-budget.ts';

/** Everything that the status of one link is derived from. */
export interface LinkFacts {
  readonly target: string;
  readonly step: LinkStep;
  readonly generation: number;
  readonly because: LinkReason | null;
  readonly paused: boolean;
  readonly pauseReason: string | null;
  readonly stopped: LinkReason | null;
  /** An activity that a pause takes back is still out. */
  readonly busy: boolean;
  readonly removing: boolean;
  readonly promoting: boolean;
  readonly ended: (EndedLink & { readonly as: 'promoted' | 'removed' }) | null;
  /** The job ended without result. */
  readonly failed: boolean;
  readonly trouble: Trouble | null;
  /** Why it has not moved for longer than its phase may take; null: it has. */
  readonly overdue: Overdue | null;
  readonly progress: LinkProgress | null;
  /** Units of its loads that are set aside. */
  readonly unitsSkipped: number;
  /** Reports in a row with more lag than `log.laggingAfter`. */
  readonly lateReports: number;
  readonly laggingAfterMs: number;
  readonly retention: ResolvedRetention;
}

export interface Overdue {
  readonly message: string;
  readonly needsAttention: boolean;
}

/** What an operator should know; the first one is shown. */
interface Concern {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly attention: boolean;
}

/** Lag at this many reports in a row is no hiccup. */
const lateForLong = 3;

export function linkStatusOf(facts: LinkFacts): LinkStatus {
  const phase = phaseOf(facts);
  const concerns = concernsOf(facts);
  const shown = concerns.find(({ attention }) => attention) ?? concerns[0];
  return {
    target: facts.target,
    phase,
    pegasusPhase: pegasusPhases[phase],
    state: stateOf(facts),
    generation: facts.generation,
    needsAttention: shown?.attention ?? false,
    reason: shown?.message ?? null,
    reasonCode: shown?.code ?? null,
    progress: facts.progress,
  };
}

/** Pegasus knows no stop by failures: whoever looks for its word finds that the log does not move. */
export const pegasusPhases: Readonly<Record<JobPhase, string>> = {
  init: 'DS_INIT',
  checkpoint: 'DS_PREPARE',
  load: 'DS_APP',
  finish: 'DS_APP',
  log: 'DS_LOG',
  paused: 'DS_PAUSE',
  stopped: 'DS_PAUSE',
  removed: 'DS_REMOVED',
  done: 'DS_REMOVED',
};

function phaseOf(facts: LinkFacts): JobPhase {
  if (facts.ended !== null) return facts.ended.as === 'removed' ? 'removed' : 'done';
  const state = stateOf(facts);
  return state === 'paused' || state === 'stopped' ? state : facts.step;
}

/** A stop counts more than a pause: it takes more than `resume` to cure it. */
function stateOf({ ended, failed, stopped, paused, busy, removing }: LinkFacts): JobState {
  if (ended !== null) return ended.as === 'removed' ? 'removed' : 'done';
  if (failed) return 'failed';
  if (removing) return 'running';
  if (stopped !== null) return 'stopped';
  return paused && !busy ? 'paused' : 'running';
}

function concernsOf(facts: LinkFacts): readonly Concern[] {
  const { ended, stopped, removing } = facts;
  if (ended !== null) return ended.leftBehind.map((message) => note(message));
  if (removing) return [note(`It is being removed.${overdueText(facts)}`)];
  if (stopped !== null) return [{ ...stopped, attention: true }, ...logConcerns(facts)];
  return [
    ...troubleConcerns(facts),
    ...logConcerns(facts),
    ...dataConcerns(facts),
    ...movementConcerns(facts),
  ];
}

function note(message: string): Concern {
  return { code: null, message, attention: false };
}

function alarm(message: string, code: ErrorCode | null = null): Concern {
  return { code, message, attention: true };
}

function overdueText({ overdue }: LinkFacts): string {
  return overdue === null ? '' : ` ${overdue.message}`;
}

function troubleConcerns({ trouble }: LinkFacts): readonly Concern[] {
  if (trouble === null) return [];
  const { code, message } = trouble;
  return [{ code, message, attention: needsAttention(trouble) }];
}

/** What the source keeps, and whether it may be taken away. */
function logConcerns({ progress, retention }: LinkFacts): readonly Concern[] {
  if (progress === null) return [];
  const { danger, retainedBytes } = progress;
  const concerns: Concern[] = danger === null ? [] : [alarm(danger)];
  const share = (retainedBytes ?? 0) / retention.maxLogBytes;
  if (retainedBytes !== null && share >= 0.5) {
    const said = `${size(retainedBytes)} of log are kept for it; \`retention.maxLog\` is ${size(retention.maxLogBytes)}`;
    const next =
      retention.onExceed === 'stop'
        ? ', and beyond it the slot is dropped.'
        : '; nothing limits it but the disk of the source.';
    concerns.push({ code: null, message: `${said}${next}`, attention: share >= 0.8 });
  }
  return concerns;
}

/** What is not on the target as it is on the source. */
function dataConcerns({ progress, unitsSkipped, target }: LinkFacts): readonly Concern[] {
  const concerns: Concern[] = [];
  if (unitsSkipped > 0) {
    concerns.push(
      alarm(
        `${unitsSkipped} chunk(s) of the load are set aside, and their changes wait; \`syncline retry\` loads them after all.`,
      ),
    );
  }
  const failing = progress?.tables.filter(({ state }) => state === 'failing') ?? [];
  const [first] = failing;
  if (first !== undefined) {
    const others = failing.length === 1 ? '' : ` (and ${failing.length - 1} more)`;
    concerns.push(
      alarm(`${first.table}${others} is failing: ${first.message ?? 'no reason given'}`, first.code),
    );
  }
  const dead = progress?.deadTransactions ?? 0;
  if (dead > 0) {
    concerns.push(
      alarm(`${dead} transaction(s) of ${target} are set aside; \`syncline retry\` applies them.`),
    );
  }
  return concerns;
}

function movementConcerns(facts: LinkFacts): readonly Concern[] {
  const { overdue, paused, pauseReason, promoting, because, step } = facts;
  const concerns: Concern[] = [];
  if (overdue !== null)
    concerns.push({ code: null, message: overdue.message, attention: overdue.needsAttention });
  concerns.push(...lagConcerns(facts));
  if (paused) concerns.push(note(pauseReason ?? pausedText(facts)));
  if (promoting) concerns.push(note('It is being promoted: the log is followed to its end first.'));
  if (because !== null && step !== 'log') {
    const { code, message } = because;
    concerns.push({ code, message: `Everything is loaded again: ${message}`, attention: false });
  }
  return concerns;
}

function lagConcerns({ progress, laggingAfterMs, lateReports, paused }: LinkFacts): readonly Concern[] {
  const lagMs = progress?.lagMs ?? null;
  if (paused || lagMs === null || lagMs <= laggingAfterMs) return [];
  const bytes = progress?.lagBytes ?? null;
  const rest = bytes === null ? '' : `, ${size(bytes)} of log are to come`;
  const message = `It is ${seconds(lagMs)} behind${rest}; \`log.laggingAfter\` is ${seconds(laggingAfterMs)}.`;
  return [{ code: null, message, attention: lateReports >= lateForLong }];
}

function pausedText({ progress, busy }: LinkFacts): string {
  if (busy) return 'It is being paused: what is in flight comes back first.';
  const kept = progress?.retainedBytes ?? null;
  return kept === null ? 'Paused.' : `Paused; the source keeps ${size(kept)} of log for it.`;
}

function size(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
