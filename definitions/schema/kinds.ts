import { copyShape } from './copy.ts';

/** One line a kind. */
export const jobShapes = { copy: copyShape } as const;

/** Kinds of the design that this version does not build. */
export const plannedKinds: readonly string[] = ['backup-restore', 'duplication', 'rebalance', 'offload'];
