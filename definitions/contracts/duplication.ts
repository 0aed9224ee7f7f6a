import type { ErrorCode } from '../errors.ts';
import type { CopyCarried, CopyTotals, LoadRef, PlanReport, PlanTotals, PreparedLoad } from './copy.ts';
import type { FailMode, ResolvedDuplicationJob } from './job.ts';
import type { LinkControlInput } from './control.ts';
import type { JobPhase, JobState } from './status.ts';

/**
 * What crosses Temporal for kind `duplication`. A job has one link per target; links are independent. Loads are those
 * of `copy`, with plans and ledger rows under identities `link:<generation>` (the first load of a generation) and
 * `link:<generation>/<n>` (tables that joined or were loaded again). Positions are opaque text.
 */

/** Argument of the workflow `duplication`. */
export interface DuplicationInput {
  readonly job: ResolvedDuplicationJob;
  /** SHA-256 of the resolved job, hex. */
  readonly definitionHash: string;
  /** `retry` is `run`: a link goes on where its ledger says. `remove`: clean up a job that is not running. */
  readonly intent: 'run' | 'retry' | 'remove';
  /** Of a removal: the side that is gone for ever and is not asked any more. */
  readonly abandon?: LinkSide;
  readonly carried?: DuplicationCarried;
}

export type LinkSide = 'source' | 'target';

/** State that survives continue-as-new, one entry a target in the order of the job. Nothing is in flight then. */
export interface DuplicationCarried {
  readonly run: string;
  readonly startedAt: string;
  readonly links: readonly LinkCarried[];
}

export interface LinkCarried {
  readonly target: string;
  readonly step: LinkStep;
  readonly generation: number;
  /** Why this generation was begun: what the one before it failed with; null: it is the first, or was asked for. */
  readonly because: LinkReason | null;
  /** Loads begun in this generation; the next one is `link:<generation>/<loads>`. */
  readonly loads: number;
  /** Pause, stop and policy of the link, and the load under way (or the last one). */
  readonly load: CopyCarried;
  /** `load` is under way. */
  readonly loading: boolean;
  /** The first load of the generation is planned, or there is none: the log may flow. */
  readonly planned: boolean;
  /** Of the first load of the generation, for `completeLink`. */
  readonly first: LoadRef | null;
  /** To be planned, in this order. */
  readonly wanted: readonly WantedLoad[];
  /** Planned and waiting for their turn. */
  readonly prepared: readonly WaitingLoad[];
  /** Loads that are over but for units that were set aside. */
  readonly incomplete: readonly EndedLoad[];
  /** Of the loads that are over, without `incomplete`. */
  readonly past: Omit<EndedLoad, 'load'>;
  /** Everything of the first load has been completed on the target (foreign keys, statistics). */
  readonly completed: boolean;
  readonly progress: LinkProgress | null;
  /** Another generation is to be begun. */
  readonly restart: { readonly because: LinkReason | null } | null;
  readonly removal: { readonly abandon: LinkSide | null } | null;
  readonly removalFailed: LinkReason | null;
  readonly promoting: boolean;
  readonly ended: (EndedLink & { readonly as: 'promoted' | 'removed' }) | null;
}

export interface LinkReason {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface WantedLoad {
  readonly load: string;
  /** See PrepareLinkLoadInput. */
  readonly only: readonly string[] | null;
  readonly again: boolean;
  /** Nobody may follow while it is planned: chunks that are followed already are loaded again. */
  readonly alone: boolean;
  /** It was planned before; only what its ledger misses is loaded. */
  readonly missing: boolean;
}

export interface WaitingLoad {
  readonly prepared: PreparedLoad;
  readonly again: boolean;
  readonly missing: boolean;
}

export interface EndedLoad {
  readonly load: string;
  readonly totals: CopyTotals;
  readonly plan: PlanTotals;
}

/** Where a link is, whoever may hold it up. Pegasus: DS_PREPARE = checkpoint, DS_APP = load, DS_LOG = log. */
export type LinkStep = 'init' | 'checkpoint' | 'load' | 'log';

/** The address of a link, in every activity. */
export interface LinkInput {
  readonly job: ResolvedDuplicationJob;
  /** Store of the target. */
  readonly target: string;
  /** First run id of the workflow chain. */
  readonly run: string;
  /** From 1. */
  readonly generation: number;
}

export interface BegunLink {
  readonly warnings: readonly string[];
  /** The generation that is under way: the ledger may know a later one than the workflow. */
  readonly generation: number;
  readonly progress: LinkProgress;
  /** Whether the first load of this generation has to be made: not with `checkpoint: false`. */
  readonly loads: boolean;
  /**
   * Loads of this generation that the ledger knows from an earlier workflow, without the first: the number of the next one,
   * and those with units missing. Absent: none.
   */
  readonly later?: { readonly next: number; readonly unfinished: readonly string[] };
}

export interface PrepareLinkLoadInput extends LinkInput {
  /** Identity of the load. */
  readonly load: string;
  /** Chunks by name (`schema.leaf`), or tables by name; null: all tables of the job that no load of this generation holds yet. */
  readonly only: readonly string[] | null;
  /** A chunk that is equal on the target already is not written again. */
  readonly again: boolean;
}

/** Null: there is nothing to load. */
export type PreparedLinkLoad = PreparedLoad | null;

/** Of whoever follows the log while something else is done. */
export interface FollowedMeanwhile extends LinkInput {
  /** What happens to a transaction that the target refuses for good: see design 5. */
  readonly mode: FailMode;
}

export interface FollowInput extends FollowedMeanwhile {
  /** Ends when the log has been followed to where the source was when it began, and the spool is empty: before a promotion. */
  readonly drain?: true;
  /** A load is being planned already: tables that no load holds are no reason to end. */
  readonly planning?: true;
  /** Longest time before it answers with what it has done. */
  readonly forMs: number;
}

/**
 * Why a follow ended by itself; it is begun again unless `ended` says otherwise. `due`: its time is over. `consistent`: the
 * link has just become so. `tables`: tables or partitions are there that no load holds. `trouble`: the state of a table or a
 * dead letter changed. `drained`: see FollowInput.
 */
export interface Followed {
  readonly why: 'due' | 'consistent' | 'tables' | 'trouble' | 'drained';
  readonly progress: LinkProgress;
}

/** What is known of a link, for status, details and heartbeats. Small. */
export interface LinkProgress {
  readonly position: string;
  readonly consistentAt: string | null;
  /** Milliseconds between the commit of the newest applied transaction and now; 0 when the end of the log is reached. */
  readonly lagMs: number | null;
  /** Log of the source that is not on the target yet. */
  readonly lagBytes: number | null;
  /** Log that the source keeps for the link, and what waits in the spool. */
  readonly retainedBytes: number | null;
  readonly spooledChanges: number;
  readonly spooledBytes: number;
  readonly transactions: number;
  readonly changes: number;
  readonly applied: number;
  readonly filtered: number;
  readonly deadTransactions: number;
  readonly conflicts: number;
  readonly bytes: number;
  /** ISO 8601, of the last batch that was asked for; null before. */
  readonly lastPullAt: string | null;
  readonly way: 'pull' | 'stream' | null;
  /** Tables that are paused, failing or removed (first 20). */
  readonly tables: readonly LinkTableStatus[];
  /** What endangers the log at the source; null: nothing. */
  readonly danger: string | null;
}

export interface LinkTableStatus {
  readonly table: string;
  readonly state: 'paused' | 'failing' | 'removed';
  readonly code: ErrorCode | null;
  readonly message: string | null;
}

/** One link in `JobStatus.links`. */
export interface LinkStatus {
  readonly target: string;
  readonly phase: JobPhase;
  /** The same in Pegasus' words: DS_PREPARE, DS_APP, DS_LOG, DS_PAUSE, DS_REMOVED. */
  readonly pegasusPhase: string;
  readonly state: JobState;
  readonly generation: number;
  readonly needsAttention: boolean;
  readonly reason: string | null;
  readonly reasonCode: ErrorCode | null;
  readonly progress: LinkProgress | null;
}

/** Result of the workflow: it ends only by `promote` or `remove`. */
export interface DuplicationResult {
  readonly name: string;
  readonly kind: 'duplication';
  readonly state: 'done' | 'removed';
  readonly chunks: { readonly total: number; readonly done: number; readonly skipped: number };
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
  readonly skipped: readonly [];
  readonly warnings: readonly string[];
  /** Why a link ended, and what was left behind on a side that was abandoned. */
  readonly links: readonly {
    readonly target: string;
    readonly as: 'promoted' | 'removed';
    readonly leftBehind: readonly string[];
  }[];
}

export interface VerifyLinkInput extends FollowedMeanwhile {
  /** Tables or chunks by name; null: all. */
  readonly only: readonly string[] | null;
}

/** Chunks that differ are named (first 100); values never are. */
export interface VerifiedLink {
  readonly chunks: number;
  readonly rows: number;
  readonly different: readonly {
    readonly chunk: string;
    readonly sourceRows: number;
    readonly targetRows: number;
  }[];
  readonly progress: LinkProgress;
}

export interface SetTableInput extends LinkInput {
  readonly table: string;
  /** `live`: it is followed again, what waited in the spool first. */
  readonly state: 'paused' | 'live' | 'removed';
}

export interface RemoveLinkInput extends LinkInput {
  readonly abandon: LinkSide | null;
}

export interface EndedLink {
  /** Sentences: what stays on a side that was not asked. */
  readonly leftBehind: readonly string[];
  readonly warnings: readonly string[];
}

/** Where the one instant of a cut lies in the log of the source. */
export interface CutLink {
  readonly consistentAt: string;
}

/** What a link retains while nobody follows it (paused, stopped). */
export interface WatchedLink {
  /** Null: the target could not be asked; what the source keeps was looked at all the same. */
  readonly progress: LinkProgress | null;
  /** `retention.maxLog` was exceeded; with `onExceed: stop` the slot has just been dropped. */
  readonly exceeded: boolean;
}

/**
 * The activities of kind `duplication`; its loads use `listBatches`, `loadUnits`, `finishChunk` and `skipUnit` of `copy`.
 * Every one is idempotent. Failures carry `type` = error code.
 */
export interface DuplicationActivities {
  /** Runs all checks of every target, writes nothing. Never throws for a refused preflight: findings say so. */
  planDuplication(input: Omit<LinkInput, 'target' | 'generation'>): Promise<PlanReport>;
  /** Checkpoint: checks, publication, slot, barrier, the link's row. Found again when repeated. */
  beginLink(input: LinkInput): Promise<BegunLink>;
  /** Publishes what is not published yet, runs the barrier, creates tables, writes the plan of a load. */
  prepareLinkLoad(input: PrepareLinkLoadInput): Promise<PreparedLinkLoad>;
  /** Follows the log. Long; heartbeats carry LinkProgress. Ends within seconds when cancelled, between two batches. */
  followLog(input: FollowInput): Promise<Followed>;
  /** After `consistentAt` of the first load: foreign keys, statistics. */
  completeLink(
    input: LinkInput & { readonly ref: LoadRef | null },
  ): Promise<{ readonly warnings: readonly string[] }>;
  watchLink(input: LinkInput): Promise<WatchedLink>;
  setLinkTable(input: SetTableInput): Promise<LinkProgress>;
  /** Applies dead transactions after all, oldest first. Nobody may follow meanwhile. */
  retryDeadTransactions(
    input: LinkInput,
  ): Promise<{ readonly retried: number; readonly conflicts: number; readonly progress: LinkProgress }>;
  /** Compares source and target chunk by chunk, each at one instant, while following. Nobody else may follow meanwhile. */
  verifyLink(input: VerifyLinkInput): Promise<VerifiedLink>;
  /** After a drain: sequences and identities, then slot and publication go; what was copied stays and is the user's. */
  promoteLink(input: LinkInput): Promise<EndedLink>;
  /** Slot, publication, ledger, spool, staging: all gone on both sides. Idempotent. */
  removeLink(input: RemoveLinkInput): Promise<EndedLink>;
}

/** What a copy with `consistent: true` needs besides: a link that ends at a cut. */
export interface CutActivities {
  /**
   * For a copy that is to be one instant: the log is followed to a cut and no further. The link is over then, but for `endLink`;
   * repeated before that, it is another instant, later.
   */
  cutLink(input: FollowedMeanwhile): Promise<CutLink>;
  /** Slot, publication and the link's rows go; ledger rows stay. */
  endLink(input: LinkInput): Promise<void>;
}

/** Heartbeat details of `followLog` and `verifyLink`, readable under Pending Activities. */
export interface FollowHeartbeat extends LinkProgress {
  readonly target: string;
  readonly doing: 'waiting' | 'following' | 'draining' | 'cutting' | 'comparing';
}

/** Arguments of the control Updates that only this kind has; see control.ts. */

export interface ResyncInput extends LinkControlInput {
  /** A table or chunk by name; absent: everything. */
  readonly table?: string;
}

export interface SetTableControl extends LinkControlInput {
  readonly table: string;
  readonly state: 'paused' | 'live' | 'removed';
}

export interface VerifyControl extends LinkControlInput {
  readonly tables?: readonly string[];
  /** Loads chunks that differ again. */
  readonly repair?: boolean;
}

/** Answer of `verify`. */
export interface VerifyAnswer {
  readonly message: string;
  readonly links: readonly { readonly target: string; readonly verified: Omit<VerifiedLink, 'progress'> }[];
}
