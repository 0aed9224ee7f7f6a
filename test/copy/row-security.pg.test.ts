import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatabasePair, type DatabasePair } from '../support/postgres.ts';
import { copyJob, openStage, type LoadStage } from '../support/load-job.ts';

/** Roles are the server's, so the name is one of this run. */
const role = `guarded_${randomBytes(4).toString('hex')}`;

let pair: DatabasePair;
let asRole: { readonly source: LoadStage; readonly target: LoadStage };

function urlOf(url: string): string {
  const other = new URL(url);
  other.username = role;
  other.password = 'guarded';
  return other.href;
}

beforeAll(async () => {
  pair = await createDatabasePair();
  for (const side of [pair.source, pair.target]) {
    await side.query(`CREATE ROLE ${role} LOGIN PASSWORD 'guarded';
      DO $$ BEGIN EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO ${role}', current_database()); END $$`);
  }
  asRole = {
    source: openStage({ source: { url: urlOf(pair.source.url) }, target: pair.target }),
    target: openStage({ source: pair.source, target: { url: urlOf(pair.target.url) } }),
  };
});

afterAll(async () => {
  await asRole.source.close();
  await asRole.target.close();
  for (const side of [pair.source, pair.target])
    await side.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  await pair.drop();
});

beforeEach(async () => {
  for (const side of [pair.source, pair.target]) {
    await side.query(`DROP SCHEMA IF EXISTS lab CASCADE; CREATE SCHEMA lab; CREATE TABLE lab.t (id int PRIMARY KEY, own bool);
      GRANT USAGE ON SCHEMA lab TO ${role}; GRANT ALL ON lab.t TO ${role}; INSERT INTO lab.t VALUES (1, true), (2, false)`);
  }
  await pair.source.query('INSERT INTO lab.t VALUES (3, false)');
});

describe('a table with a row policy, and a role that must obey it', () => {
  it.each([
    ['source', 'replace'],
    ['target', 'replace'],
    ['target', 'append'],
    ['target', 'upsert'],
  ] as const)(
    'on the %s is refused by name with the cure, and nothing is changed: %s',
    async (side, mode) => {
      await pair[side].query(
        `ALTER TABLE lab.t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON lab.t USING (own)`,
      );
      const job = copyJob({ tables: ['lab.t'], createTables: false, mode });
      const stage = asRole[side];
      const plan = await stage.act((all) =>
        all.planCopy({ job, run: 'r', scheduledTime: '2026-01-01T00:00:00Z' }),
      );
      expect(plan.findings.filter((finding) => finding.severity === 'error')).toMatchObject([
        {
          table: 'lab.t',
          message: expect.stringContaining(role) as string,
          cure: expect.stringContaining('BYPASSRLS') as string,
        },
      ]);
      await expect(stage.run(job)).rejects.toMatchObject({ type: 'preflight.refused' });
      expect(await pair.target.query('SELECT id FROM lab.t ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
    },
  );
});

describe('a role that owns nothing on the target', () => {
  it.each(['replace', 'append', 'upsert'] as const)('copies with its grants alone: %s', async (mode) => {
    if (mode === 'append') await pair.target.query('DELETE FROM lab.t');
    await asRole.target.run(copyJob({ tables: ['lab.t'], createTables: false, mode }));
    expect(await pair.target.query('SELECT id FROM lab.t ORDER BY id')).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ]);
  });
});
