import { describe, expect, it } from 'vitest';
import { bench } from './run-bench.ts';

describe('the bench of backups', () => {
  it('restores what every way wrote, and compares with pg_dump where it is installed', async () => {
    const ways = 'pg_dump-gzip1,syncline-gzip1';
    const small = ['--rows', '2000', '--partitions', '2', '--rounds', '1', '--chunk-bytes', '500000'];
    const result = await bench('backup', '--only', ways, ...small);
    expect(result).toMatchObject({ bench: 'backup', rows: 2000, partitions: 2, rounds: 1 });
    expect(result['incrementalVsFull']).toBeGreaterThan(0);
    expect(result['peakMemoryMB']).toBeGreaterThan(0);
    const missing = result['missing'] as string[];
    expect(result['backupVsPgDump'] === null).toBe(missing.includes('pg_dump'));
    expect(result['restoreVsPgRestore'] === null).toBe(missing.includes('pg_dump'));
  });

  it('takes a table both ways, offline with each database closed while it is not needed', async () => {
    const result = await bench('online-offline', '--rows', '2000', '--partitions', '2', '--rounds', '1');
    expect(result).toMatchObject({
      bench: 'online-offline',
      online: { extraDiskMB: 0 },
      offline: { bothNeededSeconds: 0 },
    });
    expect(result['offlineVsOnline']).toBeGreaterThan(0);
  });
});
