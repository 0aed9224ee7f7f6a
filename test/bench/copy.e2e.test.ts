import { describe, expect, it } from 'vitest';
import { bench } from './run-bench.ts';

describe('the bench', () => {
  it('copies a small table in every way there is, and ends with one object of figures', async () => {
    const result = await bench('copy', '--rows', '2000', '--partitions', '2', '--rounds', '1');
    expect(result).toMatchObject({ bench: 'copy', rows: 2000, partitions: 2, rounds: 1 });
    expect(result['wallVsLimit']).toBeGreaterThan(0);
    const missing = result['missing'] as string[];
    expect(result['wallVsPgcopydb'] === null).toBe(missing.includes('pgcopydb'));
    expect(result['wallVsPgDump'] === null).toBe(missing.includes('pg_dump'));
    expect(result['wallVsPsql'] === null).toBe(missing.includes('psql'));
  });

  it('counts chunks of next to nothing against a loop', async () => {
    const result = await bench('chunks', '--partitions', '20', '--rounds', '1');
    expect(result).toMatchObject({ bench: 'chunks', partitions: 20, rows: 200 });
    expect(result['chunksVsLoop']).toBeGreaterThan(0);
  });

  it('ends with an exit code and its usage for a bench that does not exist', async () => {
    await expect(bench('nothing')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Usage:') as string,
    });
  });
});
