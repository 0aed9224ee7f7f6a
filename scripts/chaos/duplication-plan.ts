import type { LinkChoices } from '../../test/e2e/lab/link-rig.ts';
import type { WorkloadPlan } from '../../test/support/workload/workload.ts';
import { faultOf, type PlannedFault } from './plan.ts';
import { Random } from './random.ts';

/** Everything that a seed decides about one run: what is written, how it is followed, and what goes wrong when. */
export interface DuplicationPlan {
  readonly seed: number;
  readonly sourceVersion: 15 | 18;
  readonly targetVersion: 15 | 18;
  readonly workload: WorkloadPlan;
  readonly job: LinkChoices;
  /** Of the server that reads the log: transactions with more are sent before they are over. */
  readonly decodingMemory: string;
  /** SYNCLINE_FAULT of the first worker; empty: none. */
  readonly firstWorkerFault: string;
  /** Writers are at work so long before the job is submitted, and after the last fault. */
  readonly beforeMs: number;
  readonly afterMs: number;
  /** From the moment the link is there, which is while it loads. */
  readonly early: readonly LinkFault[];
  /** From the moment it is consistent. */
  readonly late: readonly LinkFault[];
}

/** Each waits `afterMs` after the one before. */
export type LinkFault =
  | PlannedFault
  | ({ readonly afterMs: number } & (
      | {
          /** After so many more bytes, in the middle of a message. */
          readonly kind: 'breakOff';
          readonly server: 'source' | 'target';
          readonly direction: 'up' | 'down';
          readonly bytes: number;
        }
      | {
          /** What was asked for is done, and nobody is told. */
          readonly kind: 'loseAnswers';
          readonly server: 'source' | 'target';
          readonly forMs: number;
        }
      | { readonly kind: 'slowTarget'; readonly answerMs: number; readonly forMs: number }
      | { readonly kind: 'lockTable'; readonly table: string; readonly forMs: number }
      | { readonly kind: 'dropSlot' }
      | { readonly kind: 'pauseJob'; readonly forMs: number }
    ));

const points = [
  'load.mid',
  'load.copied',
  'swap.beforeCommit',
  'swap.afterCommit',
  'batch.beforeCommit',
  'batch.afterCommit',
  'confirm.before',
] as const;

/** Every other worker carries a fault of its own. */
function workerFault(random: Random): string {
  if (random.next() < 0.4) return '';
  const point = random.pick(points);
  const nth = random.between(1, point.startsWith('load') || point.startsWith('swap') ? 4 : 12);
  return `${point}:${random.pick(['kill', 'kill', 'error', 'hang'])}:${nth}`;
}

export function duplicationPlanOf(seed: number): DuplicationPlan {
  const random = new Random(seed * 7 + 3);
  const [sourceVersion, targetVersion] = versionsOf(seed);
  const writers = random.between(3, 8);
  return {
    ...{ seed, sourceVersion, targetVersion },
    workload: workloadOf(random, seed, writers),
    job: jobOf(random),
    decodingMemory: random.pick(['64kB', '64kB', '64MB']),
    firstWorkerFault: workerFault(random),
    beforeMs: random.between(300, 1_500),
    afterMs: random.between(1_000, 4_000),
    early: Array.from({ length: random.between(1, 4) }, () => linkFaultOf(random)),
    late: Array.from({ length: random.between(1, 3) }, () => linkFaultOf(random)),
  };
}

/** Two of five runs cross versions, or stay with the older one. */
function versionsOf(seed: number): readonly [15 | 18, 15 | 18] {
  if (seed % 10 === 4) return [15, 18];
  if (seed % 10 === 7) return [18, 15];
  if (seed % 10 === 9) return [15, 15];
  return [18, 18];
}

function workloadOf(random: Random, seed: number, writers: number): WorkloadPlan {
  const partitions = Array.from({ length: random.between(0, 3) }, () => ({
    afterMs: random.between(500, 6_000),
    how: random.pick(['created', 'attached'] as const),
    rows: random.between(1, 300),
  }));
  return {
    seed,
    shape: {
      scale: random.pick([0.1, 0.3, 0.6]),
      writers,
      toastIdentity: random.pick(['key', 'key', 'full']),
    },
    paceMs: random.pick([20, 60, 150]),
    asynchronous: Array.from({ length: writers }, (_, index) => index + 1).filter(() => random.next() < 0.3),
    growth: { partitions },
  };
}

function jobOf(random: Random): LinkChoices {
  return {
    tables: random.pick(['made', 'made', 'there']),
    parallel: random.between(1, 4),
    verify: random.pick(['none', 'count', 'digest']),
    throttle: `${random.between(800, 4_000)}KB/s`,
    chunkBytes: random.next() < 0.5 ? `${random.between(200, 1_500)}KB` : null,
    batchChanges: random.pick([50, 1_000, 10_000, 50_000]),
    batchEvery: random.pick(['20ms', '100ms', '500ms']),
    lanes: random.next() < 0.2 ? random.between(2, 4) : 1,
    durability: random.pick(['sync', 'sync', 'async']),
  };
}

const lockable = ['lab.event', 'lab.toast', 'lab.keyless', 'lab.ticket', 'lab.word'] as const;
type LinkFaultKind = LinkFault['kind'];

export function linkFaultOf(random: Random): LinkFault {
  const kind = random.pick<LinkFaultKind>([
    ...(['killWorker', 'killWorker', 'killWorker', 'killServer', 'killServer', 'breakNetwork'] as const),
    ...(['breakOff', 'breakOff', 'loseAnswers', 'loseAnswers', 'slowTarget', 'lockTable'] as const),
    ...(['pauseJob', 'dropSlot'] as const),
  ]);
  const afterMs = random.between(0, 2_500);
  const server = random.pick(['source', 'target'] as const);
  switch (kind) {
    case 'killWorker':
    case 'killServer':
    case 'breakNetwork':
      return faultOf(random, workerFault, [kind]);
    case 'breakOff':
      return {
        ...{ afterMs, kind, server, direction: random.pick(['up', 'down'] as const) },
        bytes: random.pick([random.between(1, 500), random.between(500, 400_000)]),
      };
    case 'loseAnswers':
      return { afterMs, kind, server, forMs: random.between(20, 1_500) };
    case 'slowTarget':
      return { afterMs, kind, answerMs: random.between(5, 60), forMs: random.between(500, 4_000) };
    case 'lockTable':
      return { afterMs, kind, table: random.pick(lockable), forMs: random.between(500, 5_000) };
    case 'dropSlot':
      return { afterMs, kind };
    case 'pauseJob':
      return { afterMs, kind, forMs: random.between(100, 3_000) };
  }
}
