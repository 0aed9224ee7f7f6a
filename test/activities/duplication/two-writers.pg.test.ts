import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultPoint } from '../../../activities/dependencies.ts';
import type { ResolvedDuplicationJob } from '../../../definitions/contracts/job.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { LinkState } from '../../../stores/spi/log-target.ts';
import { positionOfLsn } from '../../../stores/postgres/log/positions.ts';
import { eventually } from '../../support/eventually.ts';
import {
  type Following,
  linkJob,
  type LinkStage,
  openLinkStage,
  type StageOptions,
} from '../../support/link-job.ts';
import { createDatabasePair, type DatabasePair } from '../../support/postgres.ts';
import { startProxyFor, type TcpProxy } from '../../support/tcp-proxy.ts';
import { contentOf } from '../../support/table-content.ts';

/**
 * A link that two think is theirs: the heartbeats of the older one were not heard in time, another worker began, and the
 * older one wakes up later, wherever it was.
 */

let databases: DatabasePair;
let network: { readonly source: TcpProxy; readonly target: TcpProxy };
let job: ResolvedDuplicationJob;
let stages: LinkStage[] = [];
let followings: Following[] = [];

beforeAll(async () => {
  databases = await createDatabasePair();
  network = {
    source: await startProxyFor(databases.source.url),
    target: await startProxyFor(databases.target.url),
  };
});
afterAll(async () => {
  await databases.drop();
  await Promise.all([network.source.close(), network.target.close()]);
});
beforeEach(async () => {
  for (const database of [databases.source, databases.target])
    await database.query('DROP SCHEMA IF EXISTS twice CASCADE');
  await databases.source.query(`CREATE SCHEMA twice; CREATE TABLE twice.rows (id int PRIMARY KEY, v text);
    INSERT INTO twice.rows SELECT i, 'a' FROM generate_series(1, 8000) i`);
});
afterEach(async () => {
  for (const proxy of Object.values(network)) proxy.heal();
  await Promise.all(followings.map((each) => each.stop().catch(() => undefined)));
  const [first] = stages;
  await first?.act((all) => all.removeLink({ ...first.input, abandon: null }));
  await Promise.all(stages.map((stage) => stage.close()));
  [stages, followings] = [[], []];
});

function open(options: StageOptions = {}, through: 'network' | 'directly' = 'directly'): LinkStage {
  const { source, target } = databases;
  const ends =
    through === 'directly'
      ? databases
      : {
          source: { url: network.source.rewrite(source.url) },
          target: { url: network.target.rewrite(target.url) },
        };
  const stage = openLinkStage(ends, job, options);
  stages.push(stage);
  return stage;
}

function follow(stage: LinkStage): Following {
  const following = stage.follow();
  followings.push(following);
  return following;
}

/** The link, loaded; and on the target a list of everything that is ever done to its rows and committed. */
async function beginLink(lanes: number, more: Partial<ResolvedDuplicationJob> = {}): Promise<LinkStage> {
  job = linkJob({ tables: ['twice.*'], log: { lanes }, job: more });
  const stage = open();
  await stage.act((all) => all.beginLink(stage.input));
  await stage.load();
  const following = follow(stage);
  await stage.caughtUp(following);
  await following.stop();
  await databases.target.query(`CREATE TABLE twice.done (op text, id int, v text);
    CREATE FUNCTION twice.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO twice.done SELECT TG_OP, r.id, r.v FROM (SELECT (coalesce(NEW, OLD)).*) r; RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON twice.rows FOR EACH ROW EXECUTE FUNCTION twice.note();
    ALTER TABLE twice.rows ENABLE ALWAYS TRIGGER note`);
  return stage;
}

const changesOfTurn = 250;
const transactionsOfTurn = 3;

/** No row is changed in two turns. */
async function write(turn: number): Promise<void> {
  const from = turn * 150;
  await databases.source.query(
    `INSERT INTO twice.rows SELECT ${10_000 + from} + i, 'i${turn}' FROM generate_series(1, 100) i`,
  );
  await databases.source.query(
    `UPDATE twice.rows SET v = 'u${turn}' WHERE id BETWEEN ${from + 1} AND ${from + 100}`,
  );
  await databases.source.query(`DELETE FROM twice.rows WHERE id BETWEEN ${from + 101} AND ${from + 150}`);
}

async function linkState(stage: LinkStage): Promise<LinkState> {
  const state = await stage.stores.target.capabilities.logTarget?.read({ job: job.name, target: 'target' });
  if (state === null || state === undefined) throw new Error('There is no link.');
  return state;
}

async function confirmed(): Promise<string> {
  const [slot] = await databases.source.query<{ confirmed: string }>(
    'SELECT confirmed_flush_lsn::text AS confirmed FROM pg_replication_slots WHERE database = current_database()',
  );
  return positionOfLsn(slot?.confirmed ?? '');
}

async function lanesAhead(): Promise<number> {
  const ahead = await databases.target.query(
    'SELECT 1 FROM syncline.lane l JOIN syncline.link k USING (job, target) WHERE l.position > k.position',
  );
  return ahead.length;
}

/** What the source may forget is on the target. */
async function expectSlotBehind(stage: LinkStage): Promise<void> {
  const slot = await confirmed();
  expect(slot <= (await linkState(stage)).position).toBe(true);
}

async function expectOnce(stage: LinkStage, before: LinkState, turns: number): Promise<void> {
  expect((await linkState(stage)).totals).toMatchObject({
    transactions: before.totals.transactions + turns * transactionsOfTurn,
    changes: before.totals.changes + turns * changesOfTurn,
    applied: before.totals.applied + turns * changesOfTurn,
    conflicts: 0,
  });
  expect(await contentOf(databases.target, 'twice.rows')).toEqual(
    await contentOf(databases.source, 'twice.rows'),
  );
  const [done] = await databases.target.query(
    `SELECT count(*)::int AS all, count(DISTINCT (op, id, v))::int AS different FROM twice.done`,
  );
  expect(done).toEqual({ all: turns * changesOfTurn, different: turns * changesOfTurn });
}

/** Where the older one is held, and how it goes on. */
interface Hold {
  /** Opens the older one, which will be held. */
  open(): Promise<LinkStage>;
  /** It is there, with changes of the first turn or before them. */
  reached(): Promise<unknown>;
  release(): Promise<void>;
  /** Whether the older one wakes up after the younger one has caught up; else only once it was ended. */
  readonly later: boolean;
}

function heldAt(point: FaultPoint): Hold {
  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  let isThere = false;
  const fault = async (at: FaultPoint): Promise<void> => {
    if (at !== point) return;
    isThere = true;
    await gate;
  };
  return {
    open: () => Promise.resolve(open({ fault })),
    reached: async () => {
      await write(0);
      await eventually(() => isThere);
    },
    release: () => {
      letGo();
      return Promise.resolve();
    },
    later: true,
  };
}

/** Its packets arrive when it has long been replaced. */
function heldByNetwork(): Hold {
  return {
    open: () => Promise.resolve(open({}, 'network')),
    reached: async () => {
      const older = followings.at(-1);
      await eventually(() => older?.progress().way === 'stream');
      network.source.pause();
      network.target.pause();
      await write(0);
    },
    release: () => {
      network.target.heal();
      network.source.heal();
      return Promise.resolve();
    },
    later: true,
  };
}

/** The server is at its COMMIT: with lanes at that of the first, when the others have committed. */
function heldInCommit(): Hold {
  let locker: pg.Client | null = null;
  return {
    open: async () => {
      await databases.target.query(`CREATE FUNCTION twice.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF current_setting('application_name') LIKE '%/log' THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF;
          RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE OR DELETE ON twice.rows DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION twice.wait();
        ALTER TABLE twice.rows ENABLE ALWAYS TRIGGER wait`);
      locker = await databases.target.connect();
      await locker.query('SELECT pg_advisory_lock(4711)');
      return open();
    },
    reached: async () => {
      await write(0);
      await eventually(async () => {
        const waiting = await databases.target.query(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND wait_event = 'advisory'`,
        );
        return waiting.length === 1;
      });
    },
    release: async () => {
      await locker?.end();
    },
    later: false,
  };
}

const holds: Readonly<Record<string, () => Hold>> = {
  'between two batches': heldByNetwork,
  'before the commit of a batch': () => heldAt('batch.beforeCommit'),
  'in the commit of a batch': heldInCommit,
  'after the commit of a batch': () => heldAt('batch.afterCommit'),
  'before what it committed is confirmed': () => heldAt('confirm.before'),
};

describe.each([1, 2])('a link with lanes: %i', (lanes) => {
  it.each(Object.entries(holds))('is taken over from one that was held %s', async (_where, hold) => {
    const younger = await beginLink(lanes);
    const before = await linkState(younger);
    const held = hold();
    const olderStage = await held.open();
    const older = follow(olderStage);
    await held.reached();
    await expectSlotBehind(younger);
    // The others have committed already.
    expect(await lanesAhead()).toBe(held.later ? 0 : lanes - 1);
    await write(1);
    const following = follow(younger);
    if (held.later) await younger.caughtUp(following);
    else await eventually(() => older.failure() !== null);
    await held.release();
    await eventually(() => older.failure() !== null);
    expect(older.failure()).toSatisfy(isRefused);
    await expectSlotBehind(younger);
    await write(2);
    await younger.caughtUp(following);
    await expectOnce(younger, before, 3);
    await expectSlotBehind(younger);
    const { position } = await linkState(younger);
    await eventually(async () => (await confirmed()) >= position);
    expect(following.failure()).toBeNull();
  });
});

describe('one that was replaced while it held the link', () => {
  it('does not drop the slot for what waited in the spool when it last looked', async () => {
    const younger = await beginLink(1, { retention: { maxLogBytes: 500e9, onExceed: 'stop' } });
    const before = await linkState(younger);
    const held = heldAt('confirm.before');
    const older = follow(await held.open());
    await eventually(() => older.progress().lagBytes !== undefined && older.progress().lagBytes !== null);
    // As if so much of a table that is paused had been spooled, which goes on before the younger one looks.
    const spooled = (bytes: number): Promise<unknown> =>
      databases.target.query('UPDATE syncline.link SET spooled_bytes = $1', [bytes]);
    await spooled(900e9);
    await held.reached();
    await spooled(0);
    const following = follow(younger);
    await younger.caughtUp(following);
    // So long after it last looked it looks again, first of all.
    await delay(3_500);
    await held.release();
    await eventually(() => older.failure() !== null);
    expect(older.failure()).toSatisfy(isRefused);
    await write(1);
    await younger.caughtUp(following);
    await expectOnce(younger, before, 2);
  });

  it.each([1, 2])(
    'is one of ten that take it from each other while it is written to, lanes: %i',
    async (lanes) => {
      const first = await beginLink(lanes);
      const before = await linkState(first);
      let turns = 0;
      let older: Following | null = null;
      for (let number = 0; number < 10; number += 1) {
        // The one before is somewhere in these changes when it is replaced.
        const writing = write(turns);
        const younger = follow(open());
        await writing;
        await eventually(() => older === null || older.failure() !== null);
        // Nobody else can be the one who applies this.
        const { position } = await linkState(first);
        await write(turns + 1);
        turns += 2;
        await eventually(async () => (await linkState(first)).position > position, { everyMs: 5 });
        expect(younger.failure()).toBeNull();
        older = younger;
      }
      const [loader, ...all] = followings;
      expect(loader?.failure()).toBeNull();
      const last = all.pop();
      expect(all.map(({ failure }) => isRefused(failure()))).toEqual(Array.from({ length: 9 }, () => true));
      await first.caughtUp(last as Following);
      await expectOnce(first, before, turns);
      await expectSlotBehind(first);
    },
  );
});

/** Its sessions were ended, or it learns that the link has moved on. */
function isRefused(error: unknown): boolean {
  return error instanceof SynclineError && ['store.connectionLost', 'target.superseded'].includes(error.code);
}
