import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** Runs the seeds (`2..3`) and expects the object of a run that lost, doubled and tore nothing, and met faults at all. */
export async function expectNoDamage(kind: string, seeds: string, runs: number): Promise<void> {
  const { code, stdout, stderr } = await chaos(kind, '--seeds', seeds, '--json');
  expect(code, stderr).toBe(0);
  const said = JSON.parse(stdout) as { readonly faults: number };
  expect(said).toEqual({
    runs,
    faults: expect.any(Number) as number,
    lost: 0,
    doubled: 0,
    torn: 0,
    recopiedShare: expect.any(Number) as number,
  });
  expect(said.faults).toBeGreaterThanOrEqual(2 * runs);
}

export async function chaos(
  ...words: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
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
