import type { TableName } from '../../spi/tables.ts';
import type { Session, Sessions } from '../connection.ts';
import { quoteLiteral, quoteName } from '../identifiers.ts';

/**
 * Statistics of freshly loaded tables, by several sessions: ANALYZE takes the partitions of a table one after another.
 *
 * What holds rows is analyzed first; then what stands above it, alone: `ONLY` from 18 on. Before 18, ANALYZE of a
 * partitioned table cannot leave its partitions out, so the sessions keep their locks on them, and SKIP_LOCKED passes
 * over those (silently; sampling rows of them for the table above needs a weaker lock).
 */

const helpersAtOnce = 4;
const mostPerStatement = 100;

interface Plan {
  /** Tables with rows of their own and nothing below, quoted. */
  readonly bottoms: readonly string[];
  /** Tables above others, quoted; before 18 without those that are analyzed along with the one above them. */
  readonly tops: readonly string[];
  readonly knowsOnly: boolean;
  /** Whether the server's lock table has room for locks on all bottoms and their indexes at once. */
  readonly mayHold: boolean;
}

const planStatement = (names: string): string => `
WITH RECURSIVE named AS (SELECT unnest(ARRAY[${names}]::regclass[])::oid AS oid),
member AS (
  SELECT oid FROM named
  UNION SELECT i.inhrelid FROM pg_inherits i JOIN member m ON m.oid = i.inhparent),
server AS (SELECT current_setting('server_version_num')::int >= 180000 AS knows_only),
relation AS (
  SELECT format('%I.%I', n.nspname, c.relname) AS name, c.oid,
         c.relkind = 'p' OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) AS above,
         c.relispartition AND c.oid NOT IN (SELECT oid FROM named) AS "goesAlong"
    FROM member m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p'))
SELECT coalesce(json_agg(name) FILTER (WHERE NOT above), '[]') AS bottoms,
       coalesce(json_agg(name) FILTER (WHERE above AND (knows_only OR NOT "goesAlong")), '[]') AS tops,
       bool_or(knows_only) AS "knowsOnly",
       count(*) + (SELECT count(*) FROM pg_index x JOIN relation r ON r.oid = x.indrelid)
         < current_setting('max_locks_per_transaction')::bigint * current_setting('max_connections')::bigint / 2
         AS "mayHold"
  FROM relation, server`;

/**
 * Two that keep locks on the same partitions could wait for each other; so only one does at a time. Within a process
 * they queue before they take sessions: the helpers of the first need those.
 */
const oneAtATime = `SELECT pg_advisory_xact_lock(hashtextextended('syncline.analyze', 4))`;
const turns = new WeakMap<Sessions, Promise<unknown>>();

export async function analyzeTables(sessions: Sessions, names: readonly TableName[]): Promise<void> {
  if (names.length === 0) return;
  const before = turns.get(sessions) ?? Promise.resolve();
  const mine = before.then(() =>
    sessions.use('analyze', (session) => analyzeInTurn(sessions, session, names)),
  );
  turns.set(
    sessions,
    mine.catch(() => undefined),
  );
  await mine;
}

async function analyzeInTurn(
  sessions: Sessions,
  session: Session,
  names: readonly TableName[],
): Promise<void> {
  const literals = names.map((name) => quoteLiteral(quoteName(name))).join(', ');
  const [plan] = await session.query<Plan>(planStatement(literals));
  if (plan === undefined || plan.bottoms.length < 2 || !(plan.knowsOnly || plan.mayHold)) {
    for (const name of names) await session.query(`ANALYZE ${quoteName(name)}`);
    return;
  }
  await session.query(`BEGIN; ${oneAtATime}`);
  await withHelpers(sessions, session, plan);
  await session.query('COMMIT');
}

/** This session takes no partition itself: its own locks would not keep its last statement from them. */
async function withHelpers(sessions: Sessions, session: Session, plan: Plan): Promise<void> {
  const crew = new Crew(plan);
  for (let count = Math.min(helpersAtOnce, plan.bottoms.length); count > 0; count -= 1)
    void sessions.use('analyze', (one) => crew.join(one)).catch((error: unknown) => crew.fail(error));
  try {
    await crew.allDone;
    const tops = plan.tops.map((name) => (plan.knowsOnly ? `ONLY ${name}` : name)).join(', ');
    if (tops !== '') await session.query(`ANALYZE ${plan.knowsOnly ? '' : '(SKIP_LOCKED) '}${tops}`);
  } finally {
    await crew.dismiss();
  }
}

/** Sessions that share out the tables and, where it matters, keep their locks until dismissed. One is enough. */
class Crew {
  readonly allDone: Promise<void>;
  private readonly batches: Iterator<readonly string[]>;
  private readonly holds: boolean;
  private left: number;
  private settle: { resolve(): void; reject(error: unknown): void } | null = null;
  private sayOver: () => void = () => undefined;
  private readonly over = new Promise<void>((resolve) => (this.sayOver = resolve));
  private readonly joined: Promise<void>[] = [];
  private dismissed = false;

  constructor({ bottoms, knowsOnly }: Plan) {
    const batches = batchesOf(bottoms);
    this.batches = batches.values();
    this.left = batches.length;
    this.holds = !knowsOnly;
    this.allDone = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
  }

  /** Whoever gets its session too late finds nothing to do, and nobody has waited for it. */
  async join(session: Session): Promise<void> {
    if (this.dismissed) return;
    const work = this.work(session);
    this.joined.push(work);
    await work;
  }

  fail(error: unknown): void {
    this.settle?.reject(error);
  }

  async dismiss(): Promise<void> {
    this.dismissed = true;
    this.sayOver();
    await Promise.allSettled(this.joined);
  }

  private async work(session: Session): Promise<void> {
    if (this.holds) await session.query('BEGIN');
    for (let next = this.batches.next(); next.done !== true; next = this.batches.next()) {
      await session.query(`ANALYZE ${next.value.join(', ')}`);
      this.left -= 1;
      if (this.left === 0) this.settle?.resolve();
    }
    if (!this.holds) return;
    await this.over;
    await session.query('COMMIT');
  }
}

function batchesOf(names: readonly string[]): string[][] {
  const size = Math.min(mostPerStatement, Math.ceil(names.length / (helpersAtOnce * 4)));
  return Array.from({ length: Math.ceil(names.length / size) }, (_, index) =>
    names.slice(index * size, (index + 1) * size),
  );
}
