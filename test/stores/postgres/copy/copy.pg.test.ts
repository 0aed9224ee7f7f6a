import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sessions } from '../../../../stores/postgres/connection.ts';
import { CopyIn } from '../../../../stores/postgres/copy/copy-in.ts';
import { CopyOut } from '../../../../stores/postgres/copy/copy-out.ts';
import type { RowFormat } from '../../../../stores/spi/rows.ts';
import { createDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { openSessions } from '../catalog/zoo.ts';

const megabyte = 1024 * 1024;

describe.each([18, 15] as const)('COPY through this process on PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let sessions: Sessions;

  beforeAll(async () => {
    database = await createDatabase(version);
    sessions = openSessions(database);
    await database.query(
      'CREATE TABLE numbers AS SELECT i, md5(i::text) AS t FROM generate_series(1, 50000) i',
    );
    await database.query('CREATE TABLE checked (i int CHECK (i <> 40000), t text)');
    await database.query('CREATE TABLE none (i int, t text); CREATE TABLE bare ()');
    await database.query('INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES');
  });
  afterAll(async () => {
    await sessions.close();
    await database.drop();
  });

  interface Through {
    readonly out: string;
    readonly into: string;
    readonly format?: RowFormat;
    readonly framed?: boolean;
    /** A stream that breaks inside a frame costs the session of the writer. */
    readonly writerEnds?: boolean;
  }

  /** From one session to another; both are used afterwards to show that they still can be. */
  async function through(way: Through): Promise<readonly number[]> {
    const { out, into, writerEnds = false, format = 'binary', framed = true } = way;
    const options = format === 'binary' ? ' (FORMAT binary)' : '';
    return await sessions.use('out', (reader) =>
      sessions.use('in', async (writer) => {
        const copy = new CopyOut(`COPY ${out} TO STDOUT${options}`, { framed }).start(reader.client);
        const rows = { format, framed, bytes: copy };
        try {
          const written = await new CopyIn(`COPY ${into} FROM STDIN${options}`).run(writer.client, rows);
          return [await copy.finished, written];
        } finally {
          await copy.finished.catch(() => undefined);
          expect(await reader.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
          if (!writerEnds) expect(await writer.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
        }
      }),
    );
  }

  it.each([
    ['binary', true],
    ['binary', false],
    ['text', true],
    ['text', false],
  ] as const)('passes %s rows on, framed: %s', async (format, framed) => {
    await database.query('CREATE TABLE copied (LIKE public.numbers)');
    expect(await through({ out: 'public.numbers', into: 'public.copied', format, framed })).toEqual([
      50000, 50000,
    ]);
    const different = await database.query('TABLE numbers EXCEPT ALL TABLE copied');
    expect(different).toEqual([]);
    await database.query('DROP TABLE copied');
  });

  it.each(['binary', 'text'] as const)('passes no rows, and rows without columns, as %s', async (format) => {
    expect(await through({ out: 'public.none', into: 'public.none', format })).toEqual([0, 0]);
    await database.query('CREATE TABLE bare_copy ()');
    expect(await through({ out: '(SELECT FROM public.bare)', into: 'public.bare_copy', format })).toEqual([
      2, 2,
    ]);
    expect(await database.query('SELECT count(*)::int AS n FROM bare_copy')).toEqual([{ n: 2 }]);
    await database.query('DROP TABLE bare_copy');
  });

  it('ends with the error of the writer when a row breaks a constraint, and both sessions go on', async () => {
    await expect(through({ out: 'public.numbers', into: 'public.checked' })).rejects.toMatchObject({
      code: '23514',
    });
    expect(await database.query('SELECT count(*)::int AS n FROM checked')).toEqual([{ n: 0 }]);
  });

  it.each([true, false])(
    'ends with the error of the reader when the source fails mid-way, framed: %s',
    async (framed) => {
      const out = '(SELECT 1000 / (49000 - i) AS i, t FROM public.numbers)';
      const copying = through({ out, into: 'public.none', framed, writerEnds: framed });
      await expect(copying).rejects.toMatchObject({ code: '22012' });
      expect(await database.query('SELECT count(*)::int AS n FROM none')).toEqual([{ n: 0 }]);
    },
  );

  it('ends with the error of a statement that the server refuses at once', async () => {
    await expect(
      through({ out: 'public.nowhere', into: 'public.none', framed: false }),
    ).rejects.toMatchObject({
      code: '42P01',
    });
    await expect(through({ out: 'public.numbers', into: 'public.nowhere' })).rejects.toMatchObject({
      code: '42P01',
    });
  });

  it('hands notices over while rows flow', async () => {
    await database.query(
      `CREATE OR REPLACE FUNCTION public.noisy(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row %', i; RETURN i; END $$`,
    );
    const notices = await sessions.use('out', async (session) => {
      const heard: unknown[] = [];
      session.client.on('notice', (notice) => heard.push(notice));
      const copy = new CopyOut('COPY (SELECT public.noisy(i) FROM public.numbers LIMIT 100) TO STDOUT', {
        framed: false,
      }).start(session.client);
      let text = '';
      for await (const piece of copy as AsyncIterable<Buffer>) text += piece.toString();
      expect(text.split('\n')).toHaveLength(101);
      return heard.length;
    });
    expect(notices).toBe(100);
  });

  it('gives up a stream that nobody wants any more without stopping the session for ever', async () => {
    await sessions.use('out', async (session) => {
      const copy = new CopyOut('COPY public.numbers TO STDOUT (FORMAT binary)', { framed: true }).start(
        session.client,
      );
      await copy[Symbol.asyncIterator]().next();
      copy.destroy();
      expect(await copy.finished).toBe(50000);
      expect(await session.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    });
  });

  it('ends the copy with an error when the writing session is ended by the server', async () => {
    const rows = Readable.from(
      (async function* () {
        for (let i = 0; ; i += 1) {
          yield Buffer.from(`${String(i)}\tx\n`.repeat(1000));
          await turn();
        }
      })(),
    );
    await expect(
      sessions.use('in', async (session) => {
        const copying = new CopyIn('COPY public.none FROM STDIN').run(session.client, {
          format: 'text',
          framed: false,
          bytes: rows,
        });
        copying.catch(() => undefined);
        await database.query('SELECT pg_terminate_backend($1)', [session.pid]);
        return await copying;
      }),
    ).rejects.toThrow(/terminat|EPIPE|ECONNRESET|lost/);
  });

  it('learns that the server ended the writer while the reader has nothing to send', async () => {
    const silent = new Readable({ read: () => undefined });
    await expect(
      sessions.use('in', async (session) => {
        const copying = new CopyIn('COPY public.none FROM STDIN').run(session.client, {
          format: 'text',
          framed: false,
          bytes: silent,
        });
        copying.catch(() => undefined);
        await database.query('SELECT pg_terminate_backend($1)', [session.pid]);
        return await copying;
      }),
    ).rejects.toThrow(/terminat|EPIPE|ECONNRESET|lost/);
  });

  it('keeps memory bounded with rows of 50 MB and a table of 150 MB', async () => {
    await database.query(
      `CREATE TABLE big (id int, b bytea); ALTER TABLE big ALTER b SET STORAGE EXTERNAL;
       INSERT INTO big SELECT i, decode(repeat(md5(i::text), ${String((50 * megabyte) / 16)}), 'hex') FROM generate_series(1, 3) i;
       CREATE TABLE big_copy (LIKE big INCLUDING STORAGE);`,
    );
    global.gc?.();
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 5);
    expect(await through({ out: 'public.big', into: 'public.big_copy' })).toEqual([3, 3]);
    clearInterval(watch);
    expect((peak - before) / megabyte).toBeLessThan(100);
    const different = await database.query(
      'SELECT id FROM big b WHERE NOT EXISTS (SELECT FROM big_copy c WHERE c.id = b.id AND c.b = b.b)',
    );
    expect(different).toEqual([]);
    await database.query('DROP TABLE big, big_copy');
  });
});
