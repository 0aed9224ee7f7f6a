import type { JobKind } from './job.ts';

/** Names that client, worker and server must agree on. Changing one is a compatibility question. */

export const defaultTaskQueue = 'syncline';

/** The one workflow of a job: `<kind>/<job name>`. Schedule, `run` and overlap all meet on this id. */
export function workflowIdOf(kind: JobKind, name: string): string {
  return `${kind}/${name}`;
}

/** The launcher that a schedule starts; Temporal appends the fire time. */
export function launcherIdOf(kind: JobKind, name: string): string {
  return `launch/${kind}/${name}`;
}

export function scheduleIdOf(kind: JobKind, name: string): string {
  return `${kind}/${name}`;
}

/** Workflow types = exported functions of workflows/index.ts. */
export const workflowTypes = {
  copy: 'copy',
  'backup-restore': 'backupRestore',
  duplication: 'duplication',
  launch: 'launch',
} as const;

/** Search attributes, with their Temporal types. Values are names and states only. */
export const searchAttributes = {
  job: 'SynclineJob',
  kind: 'SynclineKind',
  state: 'SynclineState',
  phase: 'SynclinePhase',
  needsAttention: 'SynclineNeedsAttention',
} as const;

export const searchAttributeTypes = {
  SynclineJob: 'KEYWORD',
  SynclineKind: 'KEYWORD',
  SynclineState: 'KEYWORD',
  SynclinePhase: 'KEYWORD',
  SynclineNeedsAttention: 'BOOL',
} as const;

/** Names of Updates, Queries. Definitions are in workflows/messages.ts. */
export const messageNames = {
  pause: 'pause',
  resume: 'resume',
  skip: 'skip',
  retry: 'retry',
  remove: 'remove',
  setPolicy: 'setPolicy',
  status: 'status',
  promote: 'promote',
  resync: 'resync',
  setTable: 'setTable',
  verify: 'verify',
} as const;
