import pg from 'pg';
import { inParallel } from './programs.ts';
import type { Stage } from './stage.ts';

/** One connection to each side, for one piece of work at a time. */
export interface Lane {
  readonly source: pg.Client;
  readonly target: pg.Client;
}

export interface LaneWork {
  readonly items: readonly string[];
  readonly lanes: number;
}

/** What hand-written code would do: a few open connections, and the items shared out among them. */
export async function onLanes(
  stage: Stage,
  { items, lanes }: LaneWork,
  work: (lane: Lane, item: string) => Promise<void>,
): Promise<void> {
  const all = await Promise.all(
    Array.from({ length: lanes }, async () => ({
      source: await connected(stage.source.url),
      target: await connected(stage.target.url),
    })),
  );
  const free = [...all];
  await inParallel(items, lanes, async (item) => {
    const lane = free.pop();
    if (lane === undefined) throw new Error('No lane is free.');
    await work(lane, item);
    free.push(lane);
  });
  await Promise.all(all.flatMap(({ source, target }) => [source.end(), target.end()]));
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}
