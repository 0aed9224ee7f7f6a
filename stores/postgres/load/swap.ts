import { setTimeout as sleep } from 'node:timers/promises';
import { SynclineError } from '../../../definitions/errors.ts';
import type { Session } from '../connection.ts';
import { displayName, quoteIdent, quoteLiteral, quoteName } from '../identifiers.ts';
import type { LeafFacts } from './leaf-facts.ts';
import { boundConstraint, inSyncline } from './names.ts';
import { hasBoundCheck, shadowIndexName } from './shadow.ts';

/** A lock is asked for this long at a time: nobody queues behind us longer than that. Design 3.5. */
export const lockTimeoutMs = 200;

/**
 * The exchange itself, last in the transaction because DETACH takes ACCESS EXCLUSIVE on the parent until commit.
 * One message, so that no round trip is spent under the lock.
 */
export function swapStatements(facts: LeafFacts, shadow: string): string[] {
  const { name, parent, bound } = facts;
  const table = quoteName(name);
  const moved = `${quoteIdent(name.schema)}.${quoteIdent(shadow)}`;
  const ownedElsewhere = facts.ownedSequences.map(
    ({ sequence }) => `ALTER SEQUENCE ${quoteName(sequence)} OWNED BY NONE`,
  );
  const ownedAgain = facts.ownedSequences.map(
    ({ sequence, column }) => `ALTER SEQUENCE ${quoteName(sequence)} OWNED BY ${table}.${quoteIdent(column)}`,
  );
  return [
    ...(parent === null
      ? [`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`]
      : [`ALTER TABLE ${quoteName(parent)} DETACH PARTITION ${table}`]),
    ...ownedElsewhere,
    ...facts.identitySequences.map(
      ({ sequence, column }) =>
        `SELECT setval(pg_get_serial_sequence(${quoteLiteral(inSyncline(shadow))}, ${quoteLiteral(column)})::regclass, last_value, is_called) FROM ${quoteName(sequence)}`,
    ),
    `DROP TABLE ${table}`,
    `ALTER TABLE ${inSyncline(shadow)} SET SCHEMA ${quoteIdent(name.schema)}`,
    `ALTER TABLE ${moved} RENAME TO ${quoteIdent(name.name)}`,
    ...(parent === null || bound === null
      ? []
      : [
          `ALTER TABLE ${quoteName(parent)} ATTACH PARTITION ${table} ${bound}`,
          ...(hasBoundCheck(facts) ? [`ALTER TABLE ${table} DROP CONSTRAINT ${boundConstraint}`] : []),
        ]),
    ...ownedAgain,
    ...facts.identitySequences.map(({ sequence, column }) =>
      renameIdentitySequence(facts, sequence.name, column),
    ),
    ...facts.indexes.map(
      (index, position) =>
        `ALTER INDEX ${quoteIdent(name.schema)}.${quoteIdent(shadowIndexName(shadow, position))} RENAME TO ${quoteIdent(index.name)}`,
    ),
    ...facts.byName,
  ];
}

/** Its name was made up by the server when the shadow was created. */
function renameIdentitySequence(facts: LeafFacts, name: string, column: string): string {
  const made = `pg_get_serial_sequence(${quoteLiteral(quoteName(facts.name))}, ${quoteLiteral(column)})`;
  const body = `BEGIN EXECUTE format('ALTER SEQUENCE %s RENAME TO %I', ${made}, ${quoteLiteral(name)}); END`;
  return `DO ${quoteLiteral(body)}`;
}

export interface LockedWork {
  readonly statements: readonly string[];
  /** How they are sent, when something goes along that needs the locks; default: alone. */
  readonly send?: (statements: string) => Promise<unknown>;
  readonly facts: Pick<LeafFacts, 'name'>;
  readonly signal: AbortSignal;
  readonly onBlocked: (waitedMs: number) => void;
}

/**
 * Runs statements that need a strong lock behind a savepoint: when the lock is not free in time everything that was
 * loaded stays, and it is tried again after a pause that lets others through.
 */
export async function withShortLocks(session: Session, work: LockedWork): Promise<void> {
  const startedAt = Date.now();
  const send = work.send ?? ((statements: string) => session.query(statements));
  for (let attempt = 1; ; attempt += 1) {
    try {
      await send(
        [
          'SAVEPOINT syncline_swap',
          `SET LOCAL lock_timeout = ${String(lockTimeoutMs)}`,
          ...work.statements,
          'SET LOCAL lock_timeout = 0',
          'RELEASE SAVEPOINT syncline_swap',
        ].join('; '),
      );
      return;
    } catch (error) {
      if (!(error instanceof SynclineError) || error.code !== 'store.lockTimeout') throw error;
    }
    // Released too, or every try would nest one level deeper.
    await session.query('ROLLBACK TO SAVEPOINT syncline_swap; RELEASE SAVEPOINT syncline_swap');
    work.onBlocked(Date.now() - startedAt);
    try {
      await sleep(Math.min(100 * attempt, 2_000), undefined, { signal: work.signal });
    } catch (error) {
      const chunk = displayName(work.facts.name);
      throw new SynclineError('target.swapBlocked', `Readers hold ${chunk}; the exchange waited for them.`, {
        details: { chunk },
        cause: error,
      });
    }
  }
}
