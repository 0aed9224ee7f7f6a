import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Side } from '../stage.ts';
import { markTable } from './tables.ts';

/** One way to follow the source, with a slot and a target database of its own. */
export interface Follower {
  readonly name: string;
  readonly target: Side;
  /** Resolves when everything is loaded and the log is followed. */
  begin(): Promise<void>;
  /** Resolves when nothing is applied any more; the slot keeps the log. */
  stop(): Promise<void>;
  /** The clock starts with this call. */
  resume(): Promise<void>;
  /** Takes the slot away, so that the source's database can be dropped. */
  end(): Promise<void>;
}

const pollMs = 5;

/** Resolves when the target holds the mark; the same question, equally often, whoever follows. */
export async function untilMarked({ url }: Side, mark: number, deadlineMs = 600_000): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const until = performance.now() + deadlineMs;
    for (;;) {
      const { rows } = await client.query<{ mark: number }>(`SELECT mark FROM ${markTable}`);
      if ((rows[0]?.mark ?? 0) >= mark) return;
      if (performance.now() > until) throw new Error(`Mark ${String(mark)} did not arrive.`);
      await delay(pollMs);
    }
  } finally {
    await client.end();
  }
}

/** Asks again until the answer is yes. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}.`);
    await delay(20);
  }
}
