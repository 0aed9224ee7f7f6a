import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { formatDiagnostic } from '../../definitions/diagnostics.ts';
import { parseJobFile } from '../../definitions/parse.ts';
import { resolveJob } from '../../definitions/resolve.ts';

function errorsOf(text: string): string[] {
  const { diagnostics } = parseJobFile(text, { file: 'f' });
  return diagnostics.map((diagnostic) => formatDiagnostic(diagnostic).replace(/^f:/, ''));
}

function resolved(text: string): ResolvedBackupRestoreJob {
  const { jobs, diagnostics } = parseJobFile(text, { file: 'f' });
  expect(diagnostics.map(formatDiagnostic)).toEqual([]);
  const [job] = jobs.map(resolveJob).filter((one) => one.kind === 'backup-restore');
  if (job === undefined) throw new Error('no job of this kind');
  return job;
}

const head = 'kind: backup-restore\nname: a\n';
const source = 'source: { store: prod, tables: [public.t] }\n';
const backup = 'backup: { store: vault, path: t/ }\n';

describe('a backup-restore job', () => {
  it('of one stage has every default filled in', () => {
    expect(resolved(`${head}stages: [backup]\n${source}${backup}`)).toStrictEqual({
      kind: 'backup-restore',
      name: 'a',
      onFailure: { mode: 'slow', attempts: 30, backoffInitialMs: 1000, backoffMaxMs: 60_000 },
      stages: ['backup'],
      source: { store: 'prod', tables: [{ pattern: 'public.t', chunks: '%', chunkBytes: 1_000_000_000 }] },
      backup: {
        ...{ store: 'vault', path: 't', format: 'binary', compression: 'zstd', encrypt: false },
        ...{ incremental: true, consistency: 'chunk', snapshotLimitMs: 14_400_000 },
      },
      run: { parallel: 4, memoryBytes: 256_000_000, verify: 'digest', analyze: true },
    });
  });

  it('at a cut may let the source keep as much log as a duplication may, unless it says how much', () => {
    const cut = (more: string): ResolvedBackupRestoreJob =>
      resolved(`${head}stages: [backup]\n${source}backup: { store: v, path: t, consistency: cut${more} }\n`);
    expect(cut('').backup).toMatchObject({ consistency: 'cut', maxLogBytes: 50_000_000_000 });
    expect(cut(', maxLog: 2GB').backup.maxLogBytes).toBe(2_000_000_000);
  });

  it('restores all tables of the backup when none is named, with the options of `restore`', () => {
    const text = `${head}stages: [restore]\n${backup}restore: { store: dr, schema: s, chunks: 't_2026%' }\n`;
    expect(resolved(text).restore).toStrictEqual({
      ...{ store: 'dr', mode: 'replace', createTables: false },
      ...{ only: 'changed', backup: 'latest', check: 'objects' },
      tables: [{ pattern: '*.*', chunks: 't_2026%', chunkBytes: Number.MAX_SAFE_INTEGER, targetSchema: 's' }],
    });
  });

  it('lets a table of the restore say its own chunks, window and name', () => {
    const text = `${head}stages: [restore]\n${backup}restore:
  store: dr
  window: { column: ts, from: 2026-01-01 }
  tables: [public.a, { name: public.b, chunks: b_1, window: { column: at, to: 2026-02-01 }, target: { table: c } }]
`;
    const [first, second] = resolved(text).restore?.tables ?? [];
    expect(first).toMatchObject({ pattern: 'public.a', chunks: '%', window: { column: 'ts' } });
    expect(second).toMatchObject({ chunks: 'b_1', window: { column: 'at' }, targetTable: 'c' });
  });

  it('of the examples is what the issue asks for', () => {
    const text = readFileSync(new URL('../../examples/backup-restore.yaml', import.meta.url), 'utf8');
    expect(resolved(text)).toMatchObject({
      stages: ['backup', 'transfer', 'restore'],
      backup: { store: 'vault', path: 'trades', encrypt: true },
      transfer: { store: 'dr-vault', path: 'trades' },
      restore: { createTables: true, only: 'changed' },
      keep: { last: 7, days: 30 },
    });
  });
});

describe('a wrong backup-restore job names its fault', () => {
  it.each([
    [
      'stages with a gap',
      `${head}stages: [backup, restore]\n${source}${backup}restore: { store: dr }\n`,
      'contiguous',
    ],
    ['stages out of order', `${head}stages: [restore, transfer]\n${backup}`, 'contiguous'],
    ['a stage without its part', `${head}stages: [backup]\n${backup}`, 'stage `backup` needs `source`'],
    [
      'a part without its stage',
      `${head}stages: [backup]\n${source}${backup}restore: { store: dr }\n`,
      '`restore`',
    ],
    [
      'a path that climbs out',
      `${head}stages: [backup]\n${source}backup: { store: v, path: ../x }\n`,
      'a path below',
    ],
    ['a hidden path', `${head}stages: [backup]\n${source}backup: { store: v, path: a/.x }\n`, 'a path below'],
    [
      'a far end that is the near one',
      `${head}stages: [transfer]\n${backup}transfer: { to: { store: vault, path: t } }\n`,
      'already',
    ],
    [
      'a keep without a rule',
      `${head}stages: [backup]\n${source}${backup}keep: {}\n`,
      'neither `last` nor `days`',
    ],
    [
      'a level of nothing',
      `${head}stages: [backup]\n${source}backup: { store: v, path: t, compression: none, level: 3 }\n`,
      'nothing to compress',
    ],
    [
      'a cut of CSV',
      `${head}stages: [backup]\n${source}backup: { store: v, path: t, consistency: cut, format: csv }\n`,
      'must be `binary`',
    ],
    [
      'a limit of a log that is not kept',
      `${head}stages: [backup]\n${source}backup: { store: v, path: t, maxLog: 1GB }\n`,
      'belongs to `consistency: cut`',
    ],
    [
      'a misspelt key',
      `${head}stages: [backup]\n${source}backup: { store: v, path: t, compresion: zstd }\n`,
      'did you mean `compression`',
    ],
    [
      'a key of another kind',
      `${head}stages: [backup]\n${source}${backup}target: { store: dr }\n`,
      'unknown key `target`',
    ],
  ])('%s', (_what, text, message) => {
    const errors = errorsOf(text);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(message);
  });
});
