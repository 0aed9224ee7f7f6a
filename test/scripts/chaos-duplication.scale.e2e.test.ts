import { it } from 'vitest';
import { expectNoDamage } from './chaos-run.ts';

// It alone gives a link four minutes to catch up.
it('chaos of a duplication loses, doubles and tears nothing', async () => {
  await expectNoDamage('duplication', '3', 1);
});
