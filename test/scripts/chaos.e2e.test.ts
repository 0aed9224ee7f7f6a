import { describe, expect, it } from 'vitest';
import { chaos, expectNoDamage } from './chaos-run.ts';

describe('chaos', () => {
  it.each([
    { kind: 'copy', seeds: '2', runs: 1 },
    { kind: 'backup-restore', seeds: '4', runs: 1 },
  ])('of $kind loses, doubles and tears nothing', async ({ kind, seeds, runs }) => {
    await expectNoDamage(kind, seeds, runs);
  });

  it('refuses words it does not know', async () => {
    expect(await chaos('teleport')).toMatchObject({ code: 2, stdout: '' });
  });
});
