import { describe, expect, it } from 'vitest';
import { bench } from './run-bench.ts';

describe('the bench of duplications', () => {
  it('says which parts there are when it does not know one', async () => {
    await expect(bench('duplication', '--only', 'everything')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('distinct, hot, large, lag, reload') as string,
    });
  });
});
