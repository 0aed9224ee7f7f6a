import { join } from 'node:path';
import { createTable, partitionNames, tableName } from '../bench-table.ts';
import { inParallel, runPipe } from '../programs.ts';
import { parallel, type Way, type WayRun } from './way.ts';

/** pgcopydb ends with VACUUM ANALYZE by itself. */
export function pgcopydbWay(jobs: number): Way {
  return {
    name: `pgcopydb-${String(jobs)}`,
    needs: ['pgcopydb', 'pg_dump', 'pg_restore'],
    copy: async ({ stage, scratch }) => {
      const sides = ['--source', stage.source.url, '--target', stage.target.url];
      const workers = ['--table-jobs', String(jobs), '--index-jobs', String(jobs)];
      await runPipe([['pgcopydb', 'clone', ...sides, ...workers, '--dir', join(scratch, 'pgcopydb')]]);
      return null;
    },
  };
}

/** Without compression: on one machine it only costs. ANALYZE afterwards, as the others have it. */
export const pgDumpWay: Way = {
  name: 'pg_dump',
  needs: ['pg_dump', 'pg_restore'],
  copy: async ({ stage, scratch }) => {
    const dump = join(scratch, 'dump');
    await runPipe([['pg_dump', '-Fd', '-j', '2', '-Z', '0', '-f', dump, stage.source.url]]);
    await runPipe([['pg_restore', '-j', '2', '-d', stage.target.url, dump]]);
    await stage.target.query(`ANALYZE ${tableName}`);
    return null;
  },
};

/** The table is there, keys are added when all rows are; ANALYZE afterwards. */
export const psqlWay: Way = {
  name: 'psql',
  needs: ['psql'],
  prepare: ({ stage, size }) => createTable(stage.target, size, { keys: false }),
  copy: async (run) => {
    const { stage } = run;
    await inParallel(partitionNames(run.size.partitions), parallel, (name) => pipeOne(run, name));
    await stage.target.query(`ALTER TABLE ONLY ${tableName} ADD PRIMARY KEY (id)`);
    await stage.target.query(`ANALYZE ${tableName}`);
    return null;
  },
};

async function pipeOne({ stage }: WayRun, name: string): Promise<void> {
  const psql = (url: string, ...statements: string[]): string[] => [
    ...['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url],
    ...statements.flatMap((statement) => ['-c', statement]),
  ];
  await runPipe([
    psql(stage.source.url, `COPY ${name} TO STDOUT (FORMAT binary)`),
    psql(
      stage.target.url,
      `COPY ${name} FROM STDIN (FORMAT binary)`,
      `ALTER TABLE ${name} ADD PRIMARY KEY (id)`,
    ),
  ]);
}
