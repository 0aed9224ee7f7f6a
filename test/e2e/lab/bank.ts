import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { LabDatabase } from './database.ts';

/**
 * The tables and transactions of pgbench's "TPC-B (sort of)": every amount goes to an account, a teller and a branch, and into
 * the history, so that four sums are equal after every commit, and differ in the middle of one.
 * https://www.postgresql.org/docs/current/pgbench.html
 */

const [branches, tellers, accounts] = [4, 40, 40_000];

export const bankTables = `
  CREATE TABLE public.branches (bid int PRIMARY KEY, bbalance int NOT NULL);
  CREATE TABLE public.tellers (tid int PRIMARY KEY, bid int NOT NULL, tbalance int NOT NULL);
  CREATE TABLE public.accounts (aid int PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL, filler char(84) NOT NULL);
  CREATE TABLE public.history (tid int, bid int, aid int, delta int, mtime timestamptz);
  INSERT INTO public.branches SELECT i, 0 FROM generate_series(1, ${branches}) i;
  INSERT INTO public.tellers SELECT i, 1 + i % ${branches}, 0 FROM generate_series(1, ${tellers}) i;
  INSERT INTO public.accounts SELECT i, 1 + i % ${branches}, 0, '' FROM generate_series(1, ${accounts}) i;
  ANALYZE`;

const sums = `SELECT (SELECT coalesce(sum(abalance), 0) FROM public.accounts) AS accounts,
  (SELECT coalesce(sum(tbalance), 0) FROM public.tellers) AS tellers,
  (SELECT coalesce(sum(bbalance), 0) FROM public.branches) AS branches,
  (SELECT coalesce(sum(delta), 0) FROM public.history) AS history`;

/** Clients that pay in and out until they are told to stop. */
export class BankClients {
  private working = true;
  private readonly running: Promise<unknown>;

  constructor(url: string, clients: number, paceMs: number) {
    this.running = Promise.all(
      Array.from({ length: clients }, (_each, index) => this.work(url, { seed: index + 1, paceMs })),
    );
    this.running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.working = false;
    await this.running;
  }

  private async work(
    url: string,
    { seed, paceMs }: { readonly seed: number; readonly paceMs: number },
  ): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    for (let turn = 1; this.working; turn += 1) {
      const draw = (range: number, by: number): number => 1 + ((turn * by + seed * 7_919) % range);
      const [aid, tid, bid] = [draw(accounts, 104_729), draw(tellers, 31), draw(branches, 7)];
      const amount = ((turn * 611_953 + seed) % 10_001) - 5_000;
      await client.query(`BEGIN;
        UPDATE public.accounts SET abalance = abalance + ${amount} WHERE aid = ${aid};
        UPDATE public.tellers SET tbalance = tbalance + ${amount} WHERE tid = ${tid};
        UPDATE public.branches SET bbalance = bbalance + ${amount} WHERE bid = ${bid};
        INSERT INTO public.history VALUES (${tid}, ${bid}, ${aid}, ${amount}, clock_timestamp()); END`);
      await delay(paceMs);
    }
    await client.end();
  }
}

/** Looks at the copy again and again while it is written to; counts looks at which the sums were not one. */
export class BankAuditor {
  looks = 0;
  readonly torn: string[] = [];
  private looking = true;
  private readonly running: Promise<void>;

  constructor(target: LabDatabase) {
    this.running = this.look(target);
    this.running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.looking = false;
    await this.running;
  }

  private async look(target: LabDatabase): Promise<void> {
    while (this.looking) {
      const [row] = await target
        .query<{ consistent: boolean; sums: Record<string, string> }>(
          `SELECT EXISTS (SELECT FROM syncline.link WHERE consistent_at IS NOT NULL) AS consistent,
             (SELECT to_jsonb(s) FROM (${sums}) s) AS sums`,
        )
        // There is nothing to look at yet.
        .catch(() => []);
      if (row?.consistent === true) {
        this.looks += 1;
        if (new Set(Object.values(row.sums)).size > 1) this.torn.push(JSON.stringify(row.sums));
      }
      await delay(20);
    }
  }
}

/** What the bank's tables hold, by digest. */
export async function bankContents(database: LabDatabase): Promise<unknown> {
  const digest = (table: string): string =>
    `(SELECT concat(count(*), ' ', sum(('x' || left(md5(t::text), 15))::bit(60)::bigint)) FROM public.${table} t) AS ${table}`;
  const [row] = await database.query(
    `SELECT ${['branches', 'tellers', 'accounts', 'history'].map(digest).join(', ')}`,
  );
  return row;
}
