import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ResolvedCopyJob } from '../../definitions/contracts/job.ts';
import { formatDiagnostic } from '../../definitions/diagnostics.ts';
import { parseJobFile } from '../../definitions/parse.ts';
import { canonicalJson, definitionHash, resolveJob } from '../../definitions/resolve.ts';

function resolveAll(text: string): ResolvedCopyJob[] {
  const { jobs, diagnostics } = parseJobFile(text, { file: 'f' });
  expect(diagnostics.map(formatDiagnostic)).toEqual([]);
  return jobs.map(resolveJob).filter((job) => job.kind === 'copy');
}

function resolveOne(text: string): ResolvedCopyJob {
  const [job] = resolveAll(text);
  if (job === undefined) throw new Error('no job');
  return job;
}

const header = 'kind: copy\nname: a\n';
const target = 'target: { store: dr }\n';
const shortest = `${header}source: { store: prod, tables: [public.t] }\n${target}`;

describe('a resolved job', () => {
  it('has every default filled in and nothing undefined', () => {
    expect(resolveOne(shortest)).toStrictEqual({
      kind: 'copy',
      name: 'a',
      source: { store: 'prod', tables: [{ pattern: 'public.t', chunks: '%', chunkBytes: 1_000_000_000 }] },
      target: { store: 'dr', mode: 'replace', createTables: false },
      run: { parallel: 4, memoryBytes: 256_000_000, verify: 'count', analyze: true },
      onFailure: { mode: 'slow', attempts: 30, backoffInitialMs: 1000, backoffMaxMs: 60_000 },
    });
  });

  it('takes each option from the table, else from source, else from defaults', () => {
    const job = resolveOne(`${header}
source:
  store: prod
  where: source
  chunks: source
  tables:
    - { name: a.own, where: own, chunkBytes: 1MB }
    - a.plain
defaults: { where: defaults, chunks: defaults, chunkBytes: 2MB, columns: [x] }
${target}`);
    expect(job.source.tables).toEqual([
      { pattern: 'a.own', where: 'own', chunks: 'source', chunkBytes: 1_000_000, columns: ['x'] },
      { pattern: 'a.plain', where: 'source', chunks: 'source', chunkBytes: 2_000_000, columns: ['x'] },
    ]);
  });

  it('renames by the table first, then by the target', () => {
    const job = resolveOne(`${header}source:
  store: prod
  tables: [a.x, { name: a.y, target: { table: z } }, { name: a.w, target: { schema: own } }]
target: { store: dr, schema: all }
`);
    const names = job.source.tables.map(({ targetSchema, targetTable }) => [targetSchema, targetTable]);
    expect(names).toEqual([
      ['all', undefined],
      ['all', 'z'],
      ['own', undefined],
    ]);
  });

  it('gives a window its own time zone, else that of the schedule, else UTC', () => {
    const zoneOf = (window: string, rest = ''): string | undefined =>
      resolveOne(`${shortest}defaults: { window: { column: ts, from: -1d${window} } }\n${rest}`).source
        .tables[0]?.window?.timezone;
    const schedule = 'schedule: { cron: "@daily", timezone: Asia/Shanghai }\n';
    expect(zoneOf('')).toBe('UTC');
    expect(zoneOf('', schedule)).toBe('Asia/Shanghai');
    expect(zoneOf(', timezone: Europe/Berlin', schedule)).toBe('Europe/Berlin');
  });

  it('turns the dates of a schedule into instants, the last day included', () => {
    const job = resolveOne(`${shortest}schedule:
  calendar: { hour: 22, minute: '*/15', dayOfWeek: mon-fri }
  timezone: Europe/Berlin
  startAt: 2026-03-29
  endAt: 2026-03-29
  catchup: 1h
`);
    expect(job.schedule).toStrictEqual({
      calendar: { hour: '22', minute: '*/15', dayOfWeek: 'mon-fri' },
      timezone: 'Europe/Berlin',
      startAt: '2026-03-28T23:00:00.000Z',
      endAt: '2026-03-29T21:59:59.999Z',
      overlap: 'skip',
      catchupMs: 3_600_000,
      paused: false,
    });
  });

  it.each([
    '30 22 * * *',
    '0 9-17/2 1,15 jan-mar MON',
    '0 0 1 1 7',
    '0 0 1 1 * 2027',
    '0 0 0 1 1 * 2027',
    '@daily',
  ])('keeps the cron expression %s', (cron) => {
    expect(resolveOne(`${shortest}schedule: { cron: '${cron}' }\n`).schedule?.cron).toBe(cron);
  });

  it('is plain JSON', () => {
    const text = readFileSync(new URL('../../examples/copy-nightly.yaml', import.meta.url), 'utf8');
    for (const job of resolveAll(text)) expect(JSON.parse(JSON.stringify(job))).toStrictEqual(job);
  });
});

describe('the examples', () => {
  it('copy.yaml is the quickstart: one table, created, digested, without schedule', () => {
    const job = resolveOne(readFileSync(new URL('../../examples/copy.yaml', import.meta.url), 'utf8'));
    expect(job).toMatchObject({
      name: 'trades-to-dr',
      source: { store: 'prod', tables: [{ pattern: 'public.trades' }] },
      target: { store: 'dr', mode: 'replace', createTables: true },
      run: { parallel: 4, verify: 'digest' },
    });
    expect(job.schedule).toBeUndefined();
  });

  it('copy-nightly.yaml shows a window, a watermark and two schedules', () => {
    const jobs = resolveAll(
      readFileSync(new URL('../../examples/copy-nightly.yaml', import.meta.url), 'utf8'),
    );
    expect(jobs.map(({ schedule }) => schedule?.timezone)).toEqual(['Asia/Shanghai', 'Asia/Shanghai']);
    expect(jobs.map(({ source }) => source.tables[0]?.window?.from?.kind)).toEqual(['relative', 'watermark']);
  });
});

describe('the definition hash', () => {
  it('is the same for the same meaning in another layout', () => {
    const other = `# hi\n{ name: a, "kind": copy, target: { mode: replace, store: dr },
  run: { parallel: 4, memory: 256000KB }, source: { tables: [{ name: public.t }], store: prod } }\n`;
    expect(definitionHash(resolveOne(other))).toBe(definitionHash(resolveOne(shortest)));
    expect(definitionHash(resolveOne(shortest))).toMatch(/^[0-9a-f]{64}$/);
  });

  it('differs as soon as one option does', () => {
    const hashes = [
      '',
      'run: { parallel: 5 }\n',
      'run: { analyze: false }\n',
      'defaults: { where: x }\n',
    ].map((rest) => definitionHash(resolveOne(shortest + rest)));
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it('does not depend on the order of keys, however deep', () => {
    const reorder = (value: unknown): unknown => {
      if (typeof value !== 'object' || value === null) return value;
      if (Array.isArray(value)) return value.map(reorder);
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, inner]) => [key, reorder(inner)]),
      );
    };
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalJson(reorder(value))).toBe(canonicalJson(value));
      }),
    );
  });
});
