import type pg from 'pg';
import { workloadTables } from './tables.ts';

/**
 * What holds at every commit boundary of a source that a workload writes to, and so must hold at every instant of a copy
 * that is consistent. Read by SQL of our own in one snapshot.
 */

export interface Violation {
  /**
   * `lost`: a transaction is missing though a later one of the same writer, or in the order of commits, is there.
   * `doubled`: one is there twice. `torn`: a part of a transaction is there, or rows that no transaction wrote.
   */
  readonly kind: 'lost' | 'doubled' | 'torn';
  readonly what: string;
}

export interface Evidence {
  readonly writers: readonly WriterEvidence[];
  readonly clock: { readonly hand: number; readonly ticks: number; readonly last: number };
  readonly bank: BankEvidence;
  readonly history: { readonly rows: number; readonly distinct: number };
  readonly tables: readonly TableEvidence[];
}

export interface WriterEvidence {
  readonly writer: number;
  readonly a: number;
  readonly b: number;
  readonly tickets: number;
  readonly first: number;
  readonly last: number;
}

/** Sums that are equal, as in TPC-B. */
export interface BankEvidence {
  readonly branches: string;
  readonly tellers: string;
  readonly accounts: string;
  readonly history: string;
  /** Branches whose balance is not what their own history sums up to. */
  readonly unequal: number;
}

export interface TableEvidence {
  readonly name: string;
  readonly rows: number;
  readonly hash: string;
  readonly talliedRows: number;
  readonly talliedHash: string;
}

export function judge(evidence: Evidence): Violation[] {
  return [
    ...evidence.writers.flatMap(judgeWriter),
    ...judgeClock(evidence.clock),
    ...judgeBank(evidence.bank),
    ...judgeHistory(evidence.history),
    ...evidence.tables.flatMap(judgeTable),
  ];
}

function judgeWriter({ writer, a, b, tickets, first, last }: WriterEvidence): Violation[] {
  const found: Violation[] = [];
  const say = (kind: Violation['kind'], what: string): void =>
    void found.push({ kind, what: `writer ${writer}: ${what}` });
  if (a !== b) say('torn', `counters ${a} and ${b}`);
  if (last !== a) say('torn', `counter ${a}, last ticket ${last}`);
  const spread = tickets === 0 ? 0 : last - first + 1;
  if (tickets > spread) say('doubled', `${tickets} tickets from ${first} to ${last}`);
  if (tickets < spread || (tickets > 0 && first !== 1)) say('lost', `${tickets} tickets up to ${last}`);
  return found;
}

function judgeClock({ hand, ticks, last }: Evidence['clock']): Violation[] {
  if (last !== hand) return [{ kind: 'torn', what: `clock at ${hand}, last tick ${last}` }];
  return ticks < last ? [{ kind: 'lost', what: `${ticks} ticks of ${last}: commits out of order` }] : [];
}

function judgeBank({ branches, tellers, accounts, history, unequal }: BankEvidence): Violation[] {
  const sums = [branches, tellers, accounts, history];
  if (new Set(sums).size > 1) return [{ kind: 'torn', what: `bank: sums ${sums.join(', ')}` }];
  return unequal === 0 ? [] : [{ kind: 'torn', what: `bank: ${unequal} branches other than their history` }];
}

function judgeHistory({ rows, distinct }: Evidence['history']): Violation[] {
  return rows === distinct ? [] : [{ kind: 'doubled', what: `history: ${rows - distinct} rows twice` }];
}

function judgeTable({ name, rows, hash, talliedRows, talliedHash }: TableEvidence): Violation[] {
  if (rows !== talliedRows)
    return [{ kind: 'torn', what: `${name}: ${rows} rows where the tally has ${talliedRows}` }];
  return hash === talliedHash ? [] : [{ kind: 'torn', what: `${name}: other rows than the tally` }];
}

/** A transaction that sees one instant: locks come before the snapshot, since TRUNCATE does not respect snapshots. */
export async function atOneInstant<T>(client: pg.Client, look: () => Promise<T>): Promise<T> {
  const names = workloadTables.map(({ name }) => name).join(', ');
  await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY`);
  try {
    await client.query(`LOCK TABLE ${names} IN ACCESS SHARE MODE`);
    return await look();
  } finally {
    await client.query('COMMIT');
  }
}

/** `tables`: whose rows are held against the tally. */
export async function gather(client: pg.Client, tables: readonly string[]): Promise<Evidence> {
  const one = async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> =>
    (await client.query<Row>(sql)).rows;
  const [clock] = await one<Evidence['clock']>(clockSql);
  const [bank] = await one<BankEvidence>(bankSql);
  const [history] = await one<Evidence['history']>(historySql);
  const counted: TableEvidence[] = [];
  for (const name of tables) counted.push(...(await one<TableEvidence>(tableSql(name))));
  return {
    writers: await one<WriterEvidence>(writersSql),
    clock: clock ?? { hand: 0, ticks: 0, last: 0 },
    bank: bank ?? noBank,
    history: history ?? { rows: 0, distinct: 0 },
    tables: counted,
  };
}

const writersSql = `
SELECT coalesce(a.writer, b.writer, t.writer) AS writer, coalesce(a.n, 0) AS a, coalesce(b.n, 0) AS b,
       coalesce(t.tickets, 0) AS tickets, coalesce(t.first, 0) AS first, coalesce(t.last, 0) AS last
  FROM lab.counter_a a FULL JOIN lab.counter_b b USING (writer)
  FULL JOIN (SELECT writer, count(*)::int AS tickets, min(seq) AS first, max(seq) AS last FROM lab.ticket GROUP BY writer) t
         ON t.writer = coalesce(a.writer, b.writer)
 ORDER BY 1`;

const clockSql = `
SELECT coalesce((SELECT n FROM lab.clock), 0) AS hand, count(*)::int AS ticks, coalesce(max(n), 0) AS last FROM lab.tick`;

const noBank: BankEvidence = { branches: '0', tellers: '0', accounts: '0', history: '0', unequal: 0 };

const bankSql = `
SELECT (SELECT coalesce(sum(balance), 0)::text FROM lab.branch) AS branches,
       (SELECT coalesce(sum(balance), 0)::text FROM lab.teller) AS tellers,
       (SELECT coalesce(sum(balance), 0)::text FROM lab.account) AS accounts,
       (SELECT coalesce(sum(delta), 0)::text FROM lab.history) AS history,
       (SELECT count(*)::int FROM lab.branch b
         WHERE balance <> (SELECT coalesce(sum(delta), 0) FROM lab.history h WHERE h.branch = b.id)) AS unequal`;

const historySql = `SELECT count(*)::int AS rows, count(DISTINCT tag)::int AS distinct FROM lab.history`;

function tableSql(name: string): string {
  return `
SELECT '${name}' AS name, (SELECT count(*)::int FROM ${name}) AS rows,
       (SELECT coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM ${name} t) AS hash,
       sum(rows)::int AS "talliedRows", sum(hash)::text AS "talliedHash"
  FROM lab.tally WHERE name = '${name}'`;
}
