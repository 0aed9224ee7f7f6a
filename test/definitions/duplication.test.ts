import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ResolvedDuplicationJob } from '../../definitions/contracts/job.ts';
import { formatDiagnostic } from '../../definitions/diagnostics.ts';
import { kindJsonSchema } from '../../definitions/json-schema.ts';
import { parseJobFile } from '../../definitions/parse.ts';
import { definitionHash, resolveJob } from '../../definitions/resolve.ts';

function errorsOf(text: string): string[] {
  const { diagnostics } = parseJobFile(text, { file: 'f' });
  return diagnostics.map((diagnostic) => formatDiagnostic(diagnostic).replace(/^f:/, ''));
}

function resolved(text: string): ResolvedDuplicationJob {
  const { jobs, diagnostics } = parseJobFile(text, { file: 'f' });
  expect(diagnostics.map(formatDiagnostic)).toEqual([]);
  const [job] = jobs.map(resolveJob).filter((one) => one.kind === 'duplication');
  if (job === undefined) throw new Error('no job of this kind');
  return job;
}

const head = 'kind: duplication\nname: a\n';
const source = 'source: { store: prod, tables: [public.t] }\n';
const table = { pattern: 'public.t', chunks: '%', chunkBytes: 1_000_000_000 };

describe('a duplication', () => {
  it('has every default filled in', () => {
    expect(resolved(`${head}${source}targets: [{ store: dr }]\n`)).toStrictEqual({
      kind: 'duplication',
      name: 'a',
      onFailure: { mode: 'slow', attempts: 30, backoffInitialMs: 1000, backoffMaxMs: 60_000 },
      source: { store: 'prod', tables: [table] },
      targets: [{ store: 'dr' }],
      load: {
        ...{ checkpoint: true, createTables: true },
        ...{ parallel: 4, memoryBytes: 256_000_000, verify: 'digest' },
      },
      log: {
        ...{ batchChanges: 20_000, batchBytes: 8_000_000, batchEveryMs: 500 },
        ...{ lanes: 1, laggingAfterMs: 10_000, durability: 'sync', keyless: 'refuse' },
      },
      retention: { maxLogBytes: 50_000_000_000, onExceed: 'stop' },
    });
  });

  it('takes every option that is written', () => {
    const text = `${head}description: d
source:
  store: prod
  columns: [a, b]
  chunkBytes: 64MB
  tables: ["sales.*", { name: public.t, columns: [a], chunkBytes: 1MB, target: { schema: s, table: u } }]
targets: [{ store: dr }, { store: reporting, schema: mirror }]
load: { checkpoint: false, createTables: false, parallel: 2, memory: 64MB, throttle: 10MB/s, verify: none }
log: { batch: { changes: 10, bytes: 1MB, every: 50ms }, lanes: 4, laggingAfter: 1s, durability: async, keyless: insertsOnly }
retention: { maxLog: 1GB, onExceed: alarm }
onFailure: { mode: skip, attempts: 3 }
`;
    expect(resolved(text)).toMatchObject({
      description: 'd',
      source: {
        tables: [
          { pattern: 'sales.*', columns: ['a', 'b'], chunkBytes: 64_000_000 },
          { columns: ['a'], chunkBytes: 1_000_000, targetSchema: 's', targetTable: 'u' },
        ],
      },
      targets: [{ store: 'dr' }, { store: 'reporting', schema: 'mirror' }],
      load: {
        ...{ checkpoint: false, createTables: false, parallel: 2 },
        ...{ memoryBytes: 64_000_000, throttleBytesPerSecond: 10_000_000, verify: 'none' },
      },
      log: { batchChanges: 10, batchBytes: 1_000_000, batchEveryMs: 50, lanes: 4, laggingAfterMs: 1000 },
      retention: { maxLogBytes: 1_000_000_000, onExceed: 'alarm' },
      onFailure: { mode: 'skip', attempts: 3 },
    });
  });

  it.each([
    ['a name of a store', 'target: dr\n'],
    ['a mapping', 'target: { store: dr }\n'],
    ['a list of names', 'targets: [dr]\n'],
  ])('means the same with %s as with a list of mappings', (_name, targets) => {
    const long = resolved(`${head}${source}targets: [{ store: dr }]\n`);
    expect(definitionHash(resolved(`${head}${source}${targets}`))).toBe(definitionHash(long));
  });

  it('of the examples is what the issue asks for', () => {
    const text = readFileSync(new URL('../../examples/duplication.yaml', import.meta.url), 'utf8');
    expect(resolved(text)).toMatchObject({
      name: 'trades-live',
      source: { store: 'prod', tables: [{ pattern: 'public.trades' }] },
      targets: [{ store: 'dr' }],
      load: { checkpoint: true, parallel: 4 },
      log: { batchChanges: 20_000, batchBytes: 8_000_000, batchEveryMs: 500, lanes: 1 },
      retention: { maxLogBytes: 50_000_000_000, onExceed: 'stop' },
    });
  });

  it('is refused in the editor too where a key is not for this kind', () => {
    const { properties = {} } = kindJsonSchema('duplication');
    expect(properties['schedule']).toMatchObject({
      not: {},
      description: expect.stringContaining('until it is removed') as string,
    });
  });
});

const wholeTables = 'a duplication follows whole tables, every row of them';

describe('a wrong line of a duplication is named with its place', () => {
  it.each<[string, string, string[]]>([
    ['no target', `${head}${source}`, ['1:1: missing key `targets`; name at least one store']],
    [
      'an empty list of targets',
      `${head}${source}targets: []\n`,
      ['4:10: `targets`: must list at least one'],
    ],
    [
      'both forms of targets',
      `${head}${source}targets: [dr]\ntarget: dr\n`,
      ['5:9: `target`: is short for `targets`, which is there too; put it into the list'],
    ],
    [
      'a target twice',
      `${head}${source}targets: [dr, { store: dr, schema: s }]\n`,
      [
        '4:15: `targets[1]`: store `dr` is a target twice; a second job can follow the same tables into another schema',
      ],
    ],
    [
      'a table onto itself',
      `${head}source: { store: prod, tables: [public.t, sales.u] }\ntargets: [dr, { store: prod, schema: sales }]\n`,
      [
        '3:43: `source.tables[1]`: `sales.u` would be followed onto itself; name another target store or schema',
      ],
    ],
    [
      'two tables to one place',
      `${head}source: { store: prod, tables: [a.t, b.t] }\ntargets: [dr, { store: reporting, schema: mirror }]\n`,
      ['3:38: `source.tables[1]`: `b.t` and `a.t` go to the same table of target `reporting`'],
    ],
    [
      'a table twice',
      `${head}source: { store: prod, tables: [a.t, a.t] }\ntarget: dr\n`,
      ['3:38: `source.tables[1]`: table `a.t` is listed twice'],
    ],
    [
      'a condition',
      `${head}source: { store: prod, where: a > 0, tables: [{ name: a.t, where: b > 0 }] }\ntarget: dr\n`,
      [
        `3:31: \`source.where\`: ${wholeTables}; remove it; \`copy\` and \`backup-restore\` take conditions`,
        `3:67: \`source.tables[0].where\`: ${wholeTables}; remove it; \`copy\` and \`backup-restore\` take conditions`,
      ],
    ],
    [
      'a window',
      `${head}source: { store: prod, window: { column: ts, from: -7d }, tables: [a.t] }\ntarget: dr\n`,
      [`3:32: \`source.window\`: ${wholeTables}; remove it; \`copy\` and \`backup-restore\` take windows`],
    ],
    [
      'some chunks',
      `${head}source: { store: prod, tables: [{ name: a.t, chunks: t_% }] }\ntarget: dr\n`,
      [
        '3:54: `source.tables[0].chunks`: a duplication follows whole tables, every partition of them; remove it, or name the partitions as tables',
      ],
    ],
    [
      'a schedule',
      `${head}${source}target: dr\nschedule: { cron: "0 1 * * *" }\n`,
      [
        '5:11: `schedule`: a duplication has no schedule: it runs until it is removed; remove it; `syncline run` starts the job, `syncline pause` and `syncline resume` interrupt it',
      ],
    ],
    [
      'one name for a wildcard',
      `${head}source: { store: prod, tables: [{ name: "a.*", target: { table: t } }] }\ntarget: dr\n`,
      [
        '3:65: `source.tables[0].target.table`: one name cannot stand for all tables of a wildcard; list the tables, or set only `schema`',
      ],
    ],
    [
      'a key of a copy',
      `${head}${source}target: dr\nrun: { parallel: 2 }\n`,
      [
        '5:1: unknown key `run`; known are `kind`, `name`, `description`, `source`, `targets`, `target`, `load`, `log`, `retention`, `onFailure`',
      ],
    ],
    [
      'a key in the wrong place',
      `${head}${source}target: dr\nmaxLog: 1GB\n`,
      ['5:1: unknown key `maxLog`; it belongs under `retention`'],
    ],
    [
      'a wrong amount and a wrong choice',
      `${head}${source}target: dr\nlog: { laggingAfter: 10, durability: quick }\n`,
      [
        '5:22: `log.laggingAfter`: expected text, got a number; put it in quotes, and with its unit if it is an amount',
        '5:38: `log.durability`: expected one of `sync`, `async`',
      ],
    ],
  ])('%s', (_name, text, expected) => {
    expect(errorsOf(text)).toEqual(expected);
  });
});
