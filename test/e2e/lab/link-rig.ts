import { consistentLink } from '../../support/workload/consistent-link.ts';
import type { IsConsistent } from '../../support/workload/reader.ts';
import { definitionOf, definitionOfTypes, type WorkloadShape } from '../../support/workload/tables.ts';
import { tallyOf } from '../../support/workload/tally.ts';
import { prepareSource } from '../../support/workload/workload.ts';
import { eventually } from '../../support/eventually.ts';
import type { LabDatabase } from './database.ts';
import type { JobRun } from './job-run.ts';
import { type BaseRig, createBaseRig, type Place } from './rig.ts';

/** How the tables of a workload are followed. */
export interface LinkChoices {
  /** Made by the job from the source's catalogue, or there before, with triggers that must not fire. */
  readonly tables: 'made' | 'there';
  readonly parallel: number;
  readonly verify: 'none' | 'count' | 'digest';
  readonly throttle: string | null;
  readonly chunkBytes: string | null;
  readonly batchChanges: number;
  readonly batchEvery: string;
  readonly lanes: number;
  readonly durability: 'sync' | 'async';
}

/** A source that a workload can write to, and a job that follows it. */
export interface LinkRig extends BaseRig {
  submit(): Promise<JobRun>;
  /** Null before the link is there, and while the target is away. */
  link(): Promise<LinkRow | null>;
  /** For a reader of the target. */
  readonly isConsistent: IsConsistent;
}

export interface LinkRow {
  readonly position: string;
  readonly consistent: boolean;
  readonly generation: number;
  readonly spooled: number;
  readonly bytes: number;
  readonly conflicts: number;
  readonly dead: number;
}

export async function createLinkRig(
  place: Place,
  shape: WorkloadShape,
  choices: LinkChoices,
): Promise<LinkRig> {
  const rig = await createBaseRig(place, { stores: {} });
  try {
    await prepareSource(rig.source.url, shape);
    const target = choices.tables === 'made' ? definitionOfTypes : definitionOf(shape) + tallyOf(shape);
    await rig.target.query(target);
  } catch (error) {
    await rig.end();
    throw error;
  }
  return {
    ...rig,
    isConsistent: consistentLink(rig.name),
    submit: () => rig.submitText(linkJobText(rig.name, choices)),
    link: () => linkOf(rig.target, rig.name).catch(() => null),
  };
}

export function linkJobText(name: string, choices: LinkChoices): string {
  const { parallel, verify, throttle, chunkBytes, batchChanges, batchEvery, lanes, durability } = choices;
  return [
    'kind: duplication',
    `name: ${name}`,
    `source: { store: source, tables: ["lab.*"]${chunkBytes === null ? '' : `, chunkBytes: ${chunkBytes}`} }`,
    'target: target',
    'load:',
    `  parallel: ${parallel}`,
    `  verify: ${verify}`,
    ...(throttle === null ? [] : [`  throttle: ${throttle}`]),
    'log:',
    `  batch: { changes: ${batchChanges}, every: ${batchEvery} }`,
    `  lanes: ${lanes}`,
    `  durability: ${durability}`,
    'onFailure: { mode: slow, backoff: { initial: 200ms, max: 1s } }',
    '',
  ].join('\n');
}

/** Null before the link is there. */
export async function linkOf(target: LabDatabase, job: string): Promise<LinkRow | null> {
  const [row] = await target.query<LinkRow>(
    `SELECT position, consistent_at IS NOT NULL AS consistent, generation::int, spooled_changes::int AS spooled,
            bytes::float8 AS bytes, conflicts::int, dead_transactions::int AS dead FROM syncline.link WHERE job = '${job}'`,
  );
  return row ?? null;
}

/** Everything that the source has committed by now, as positions are written. */
export async function endOfLog(source: LabDatabase): Promise<string> {
  const [row] = await source.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  const parts = (row?.lsn ?? '').toLowerCase().split('/');
  return parts.map((part) => part.padStart(8, '0')).join('');
}

/** The link has applied all that was committed when this was called, nothing waits, and it says that it is consistent. */
export async function untilCaughtUp(rig: Pick<LinkRig, 'source' | 'link'>, withinMs: number): Promise<void> {
  // Idle, the log stands at the end of the last commit: what follows is so that there is one.
  await rig.source.query('SELECT pg_logical_emit_message(true, $$lab$$, $$end$$)');
  const end = await endOfLog(rig.source);
  await rig.source.query('SELECT pg_logical_emit_message(true, $$lab$$, $$behind the end$$)');
  await eventually(
    async () => {
      const link = await rig.link();
      return link !== null && link.consistent && link.spooled === 0 && link.position >= end;
    },
    { withinMs, everyMs: 200, waitingFor: `the link to come to ${end}` },
  );
}

/** What must not be there after `remove`, on either side, in words. */
export async function leftovers(rig: Pick<LinkRig, 'source' | 'target'>): Promise<string[]> {
  const ofSource = await rig.source.query<{ what: string }>(
    `SELECT 'slot ' || slot_name AS what FROM pg_replication_slots WHERE database = current_database()
     UNION ALL SELECT 'publication ' || pubname FROM pg_publication`,
  );
  const ofTarget = await rig.target.query<{ what: string }>(
    `SELECT 'schema ' || nspname AS what FROM pg_namespace WHERE nspname LIKE 'syncline%'`,
  );
  return [...ofSource, ...ofTarget].map(({ what }) => what);
}
