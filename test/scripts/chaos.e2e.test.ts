import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));

describe('chaos', () => {
  it.each([
    { kind: 'copy', seeds: '2..3', runs: 2 },
    { kind: 'backup-restore', seeds: '4', runs: 1 },
  ])('of $kind loses, doubles and tears nothing', { timeout: 300_000 }, async ({ kind, seeds, runs }) => {
    const { code, stdout, stderr } = await chaos(kind, '--seeds', seeds, '--json');
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      runs,
      faults: expect.any(Number) as number,
      lost: 0,
      doubled: 0,
      torn: 0,
      recopiedShare: expect.any(Number) as number,
    });
    expect((JSON.parse(stdout) as { faults: number }).faults).toBeGreaterThanOrEqual(2 * runs);
  });

  it('refuses words it does not know', async () => {
    expect(await chaos('teleport')).toMatchObject({ code: 2, stdout: '' });
  });
});

async function chaos(...words: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/chaos.ts', ...words], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (data: Buffer) => (said[stream] += data.toString('utf8')));
  }
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...said }));
  });
}
