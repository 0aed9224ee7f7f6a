import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

describe('the quickstart', () => {
  /** Everything it starts or writes has this folder in its command line or its path. */
  let folder: string;
  let output: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quickstart-test-'));
    chmodSync(folder, 0o755);
    output = '';
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  function start(...args: string[]): ChildProcess {
    const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/quickstart.ts', ...args], {
      cwd: repository,
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => (output += data.toString('utf8')));
    }
    return child;
  }

  async function end(child: ChildProcess): Promise<number | null> {
    return await new Promise((resolve) => child.once('close', (code) => resolve(code)));
  }

  /** The Temporal server and the worker do not name the folder in their command line, but stand in it or log to it. */
  function leftProcesses(): string[] {
    return readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        const texts = [
          readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
          readFileSync(`/proc/${pid}/environ`, 'utf8'),
        ];
        return texts.some((text) => text.includes(folder));
      } catch {
        return false;
      }
    });
  }

  /** tsx keeps compiled files in the temporary directory for the next run. */
  function leftFiles(): string[] {
    return readdirSync(folder).filter(
      (name) => !/^(tsx-|node-compile-cache|syncline-postgres-18-)/.test(name),
    );
  }

  it('copies the example, checks it on both sides, and leaves nothing behind', async () => {
    const code = await end(start('--exit', '--json'));
    const last = output.trimEnd().split('\n').at(-1) ?? '';
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
    expect(JSON.parse(last)).toEqual({
      ok: true,
      sourceRows: 1_210_000,
      targetRows: 1_210_000,
      digestEqual: true,
      uiUrl: expect.stringMatching(/^http:.*workflows\/copy%2Ftrades-to-dr/) as unknown,
    });
    await eventually(() => leftProcesses().length === 0, { waitingFor: 'the end of everything it started' });
    expect(leftFiles()).toEqual([]);
  });

  it('backs the example up, carries and restores it, and writes one object for one changed partition', async () => {
    const code = await end(start('backup-restore', '--exit', '--json'));
    const last = output.trimEnd().split('\n').at(-1) ?? '';
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
    expect(JSON.parse(last)).toEqual({
      ok: true,
      sourceRows: 1_210_000,
      targetRows: 1_210_000,
      digestEqual: true,
      uiUrl: expect.stringMatching(/^http:.*workflows\/backup-restore%2Ftrades-once/) as unknown,
      fullObjects: 10,
      incrementalObjects: 1,
      referredObjects: 9,
      changedRows: 24_200,
    });
    await eventually(() => leftProcesses().length === 0, { waitingFor: 'the end of everything it started' });
    expect(leftFiles()).toEqual([]);
  });

  it('follows the example while rows change and a partition joins, and finds both sides equal', async () => {
    const code = await end(start('duplication', '--exit', '--json'));
    const last = output.trimEnd().split('\n').at(-1) ?? '';
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
    const result = JSON.parse(last) as {
      sourceRows: number;
      written: Record<'inserted' | 'updated' | 'deleted', number>;
    };
    const { inserted, updated, deleted } = result.written;
    expect(result).toEqual({
      ok: true,
      sourceRows: 1_210_000 + inserted - deleted,
      targetRows: result.sourceRows,
      digestEqual: true,
      uiUrl: expect.stringMatching(/^http:.*workflows\/duplication%2Ftrades-live/) as unknown,
      written: expect.objectContaining({ transactions: expect.any(Number) as number }) as unknown,
    });
    expect(Math.min(inserted, updated, deleted)).toBeGreaterThan(0);
    expect(output).toContain('public.trades_20230123');
    await eventually(() => leftProcesses().length === 0, { waitingFor: 'the end of everything it started' });
    expect(leftFiles()).toEqual([]);
  });

  it('leaves no server behind when it is killed', async () => {
    const child = start('--exit');
    const ended = end(child);
    await eventually(() => output.includes('Starting a worker'), {
      waitingFor: 'the servers',
    });
    expect(leftProcesses().length).toBeGreaterThan(2);
    child.kill('SIGKILL');
    await ended;
    await eventually(() => leftProcesses().length === 0, { waitingFor: 'the end of everything it started' });
    await eventually(() => leftFiles().length === 0, { waitingFor: 'the removal of what it wrote' });
  });

  it('refuses words it does not know', async () => {
    expect(await end(start('teleport'))).toBe(2);
    expect(output).toContain('teleport');
  });
});
