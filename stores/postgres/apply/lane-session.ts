import { SynclineError } from '../../../definitions/errors.ts';
import type { LinkRef, OpenLink } from '../../spi/log-target.ts';
import type { OpenSession, Sessions } from '../connection.ts';
import { takeLane, takeLink } from './link-lock.ts';
import { type Step, type StepResult, runSteps } from './message.ts';
import type { Route } from './route.ts';
import { Stages } from './staging.ts';
import { MovedValues } from './moved-values.ts';

/**
 * One session of a writer, with its transaction. Settings are for its whole life: it is closed at the end, never given
 * back to the pool.
 *
 * A batch that is joined with a huge table by its key must not become a scan of that table, whatever the planner thinks
 * of a staging table without statistics: so only nested loops.
 */
const settings = (durable: boolean): string => `
SELECT CASE WHEN pg_catalog.has_parameter_privilege('session_replication_role', 'SET')
    THEN pg_catalog.set_config('session_replication_role', 'replica', false) END IS NOT NULL AS replica,
  pg_catalog.set_config('synchronous_commit', ${
    durable
      ? `CASE pg_catalog.current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END`
      : `'off'`
  }, false),
  pg_catalog.set_config('work_mem', '32MB', false),
  pg_catalog.set_config('enable_hashjoin', 'off', false), pg_catalog.set_config('enable_mergejoin', 'off', false),
  pg_catalog.set_config('jit', 'off', false), pg_catalog.set_config('max_parallel_workers_per_gather', '0', false)`;

const savepoint = 'syncline_apply';

export class LaneSession {
  readonly session: OpenSession;
  readonly stages = new Stages();
  readonly moved = new MovedValues();
  /** Triggers and foreign keys of the target do not act on what comes. */
  readonly isReplica: boolean;
  private isOpen = false;
  private hasSavepoint = false;

  private constructor(session: OpenSession, isReplica: boolean) {
    this.session = session;
    this.isReplica = isReplica;
  }

  /** The first session of a link ends those of older writers. */
  static async open(sessions: Sessions, request: OpenLink, lane: number): Promise<LaneSession> {
    const { ref } = request;
    const session = await sessions.openForWriting(labelOf(ref, lane), `applying the log of ${ref.job}`);
    try {
      if (lane === 0) await takeLink(session, ref);
      else await takeLane(session, ref);
      const rows = await session.query<{ replica: boolean }>(settings(request.durable));
      return new LaneSession(session, rows[0]?.replica === true);
    } catch (error) {
      await session.destroy();
      throw error;
    }
  }

  get inTransaction(): boolean {
    return this.isOpen;
  }

  /** A row that leaves for a moment would take others along by their foreign keys. */
  mayReplace({ target }: Route): boolean {
    return this.isReplica || !target.facts.isReferenced;
  }

  /** Updates would not do. */
  mustReplace(route: Route): boolean {
    const isFixed = route.columns.some(
      (column) => column.identityAlways && !route.keyColumns.includes(column),
    );
    return isFixed || (route.hasOtherUniques && this.moved.has(route));
  }

  /** Into the open transaction, which begins with the first. */
  async run(steps: readonly Step[]): Promise<readonly StepResult[]> {
    if (this.isOpen) return await runSteps(this.session, steps);
    this.isOpen = true;
    const results = await runSteps(this.session, [{ text: 'BEGIN' }, ...steps]);
    return results.slice(1);
  }

  /** The same with one statement that is answered in rows. */
  async ask<Row>(text: string): Promise<readonly Row[]> {
    if (!this.isOpen) await this.run([]);
    return await this.session.query<Row>(text);
  }

  /** The same behind a savepoint that `undo` goes back to. */
  async attempt(steps: readonly Step[]): Promise<readonly StepResult[]> {
    const before = [
      ...(this.hasSavepoint ? [{ text: `RELEASE SAVEPOINT ${savepoint}` }] : []),
      { text: `SAVEPOINT ${savepoint}` },
    ];
    this.hasSavepoint = false;
    const results = await this.run([...before, ...steps]);
    this.hasSavepoint = true;
    return results.slice(before.length);
  }

  async undo(): Promise<void> {
    this.stages.rolledBack();
    await runSteps(this.session, [{ text: `ROLLBACK TO SAVEPOINT ${savepoint}` }]);
    this.hasSavepoint = true;
  }

  async commit(): Promise<void> {
    await runSteps(this.session, [{ text: 'COMMIT' }]);
    this.ended();
    this.stages.committed();
  }

  /** Fine when there is no transaction, or no session any more. */
  async rollback(): Promise<void> {
    if (!this.isOpen) return;
    this.ended();
    this.stages.rolledBack();
    try {
      await this.session.query('ROLLBACK');
    } catch (error) {
      if (!(error instanceof SynclineError)) throw error;
    }
  }

  async close(): Promise<void> {
    await this.session.destroy();
  }

  private ended(): void {
    this.isOpen = false;
    this.hasSavepoint = false;
  }
}

function labelOf({ job }: LinkRef, lane: number): string {
  return lane === 0 ? `${job}/log` : `${job}/log/${String(lane)}`;
}
