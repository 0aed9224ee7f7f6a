import { join } from 'node:path';
import { tableName } from '../bench-table.ts';
import { runPipe } from '../programs.ts';
import { type BackupSpec, runStage } from './job.ts';
import type { WayRun } from '../ways/way.ts';

export interface BackupWay {
  readonly name: string;
  readonly needs: readonly string[];
  /** Answers where the files lie. */
  backup(run: WayRun, round: string): Promise<string>;
  /** Into a database without the table. */
  restore(run: WayRun, round: string): Promise<RestoreSeconds>;
}

/** The clock runs outside; a step of its own is told apart from the rest. */
export interface RestoreSeconds {
  /** Of an ANALYZE that came after the peer's own work; null where it is part of the work. */
  readonly analyze: number | null;
}

/** gzip is all that pg_dump 15 has: both sides take it, at the same level. */
export function pgDumpWay(level: number): BackupWay {
  const folderOf = ({ scratch }: WayRun): string => join(scratch, `pg_dump-${String(level)}`);
  return {
    name: `pg_dump-gzip${String(level)}`,
    needs: ['pg_dump', 'pg_restore'],
    backup: async (run) => {
      const folder = folderOf(run);
      const { url } = run.stage.source;
      await runPipe([['pg_dump', '-Fd', '-j', '2', '-Z', String(level), '-f', folder, url]]);
      return folder;
    },
    restore: async (run) => {
      await runPipe([['pg_restore', '-j', '2', '-d', run.stage.target.url, folderOf(run)]]);
      const startedAt = performance.now();
      await run.stage.target.query(`ANALYZE ${tableName}`);
      return { analyze: (performance.now() - startedAt) / 1_000 };
    },
  };
}

export function synclineBackupWay(name: string, how: Omit<BackupSpec, 'name'>): BackupWay {
  const specOf = (round: string): BackupSpec => ({ ...how, name: `${name}-${round}` });
  return {
    name,
    needs: [],
    backup: async ({ stage, worker }, round) => {
      const spec = specOf(round);
      await runStage(stage, worker, { spec, of: 'backup' });
      return join(stage.folder, 'vault', spec.name);
    },
    restore: async ({ stage, worker }, round) => {
      await runStage(stage, worker, { spec: specOf(round), of: 'restore' });
      return { analyze: null };
    },
  };
}
