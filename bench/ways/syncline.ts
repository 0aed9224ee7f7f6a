import { tableName } from '../bench-table.ts';
import { runJob } from '../job-run.ts';
import { parallel, type Way } from './way.ts';

/** The job with `createTables`, from its submission to its result: preflight, tables, rows, keys, ANALYZE, ledger. */
export function synclineWay(verify: 'none' | 'count' | 'digest'): Way {
  return {
    name: `syncline-${verify}`,
    needs: [],
    copy: ({ stage, worker }) =>
      runJob(stage, worker, { table: tableName, verify, parallel, createTables: true }),
  };
}
