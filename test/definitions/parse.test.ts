import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDiagnostic, renderDiagnostic } from '../../definitions/diagnostics.ts';
import { parseJobFile, parseJobFiles } from '../../definitions/parse.ts';

/** A right job of eight lines; a case replaces or adds lines. */
const good = `kind: copy
name: a
source:
  store: prod
  tables: [public.t]
target:
  store: dr
`;

function errorsOf(text: string): string[] {
  const { jobs, diagnostics } = parseJobFile(text, { file: 'f' });
  if (diagnostics.length > 0) expect(jobs).toEqual([]);
  return diagnostics.map((diagnostic) => formatDiagnostic(diagnostic).slice('f:'.length));
}

const withSource = (line: string): string => good.replace('  tables: [public.t]', line);
const withTarget = (line: string): string => `${good}  ${line}\n`;
const withTop = (lines: string): string => `${good}${lines}\n`;
const window = (inner: string): string => withTop(`defaults: { window: { column: ts, ${inner} } }`);

const timeForms =
  'expected a time such as `-7d`, `-12h`, `now`, `today`, `today-1d`, `watermark`, `2026-01-31` or `2026-01-31T22:30:00+08:00`';
const named =
  'must be at most 100 lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit';

describe('a wrong line is named with its place', () => {
  it.each<[what: string, text: string, errors: string[]]>([
    ['an empty file', '', ['1:1: the file holds no job; `syncline init` writes an example']],
    ['only comments', '# x\n---\n', ['1:1: the file holds no job; `syncline init` writes an example']],
    ['a list', '- kind: copy\n', ['1:1: a job is a mapping; begin with `kind: copy`']],
    ['a text', 'copy\n', ['1:1: a job is a mapping; begin with `kind: copy`']],
    ['no kind', 'name: a\n', ['1:1: missing key `kind`; write `kind: copy`']],
    ['a misspelt kind key', 'name: a\nknid: copy\n', ['2:1: missing key `kind`; write `kind: copy`']],
    [
      'a misspelt kind',
      'kind: cpoy\n',
      ['1:7: `kind`: expected `copy` or `backup-restore` or `duplication`; did you mean `copy`?'],
    ],
    [
      'a kind of another type',
      'kind: [copy]\n',
      ['1:7: `kind`: expected `copy` or `backup-restore` or `duplication`'],
    ],
    [
      'a kind to come',
      'kind: rebalance\n',
      [
        '1:7: `kind`: `rebalance` is not available in this version; available is `copy`, `backup-restore`, `duplication`',
      ],
    ],
    [
      'everything missing',
      'kind: copy\n',
      ['1:1: missing key `name`', '1:1: missing key `source`', '1:1: missing key `target`'],
    ],
    [
      'a missing store',
      good.replace('  store: dr', '  mode: append'),
      ['6:1: missing key `store` in `target`'],
    ],
    ['an unknown key', withTop('scedule: {}'), ['8:1: unknown key `scedule`; did you mean `schedule`?']],
    [
      'a key of another place',
      withTop('parallel: 4'),
      ['8:1: unknown key `parallel`; it belongs under `run`'],
    ],
    [
      'a top-level key inside',
      withTarget('name: x'),
      ['8:3: unknown key `name` in `target`; it belongs at the top level'],
    ],
    [
      'a key that is like none',
      withTarget('colour: x'),
      ['8:3: unknown key `colour` in `target`; known are `store`, `mode`, `createTables`, `schema`'],
    ],
    [
      'a prototype key',
      withTarget('__proto__: {}'),
      [expect.stringContaining('8:3: unknown key `__proto__`')],
    ],
    [
      'a merge key',
      withTop('<<: {}'),
      ['8:1: unknown key `<<`; merge keys are not supported: use `defaults`'],
    ],
    [
      'an enumeration',
      withTarget('mode: replcae'),
      ['8:9: `target.mode`: expected one of `replace`, `append`, `upsert`; did you mean `replace`?'],
    ],
    [
      'an enumeration of another type',
      withTarget('mode: 1'),
      ['8:9: `target.mode`: expected one of `replace`, `append`, `upsert`, got a number'],
    ],
    [
      'a boolean as text',
      withTarget("createTables: 'yes'"),
      ['8:17: `target.createTables`: expected `true` or `false`, got text; write `true` or `false`'],
    ],
    [
      'an empty value',
      withTarget('schema:'),
      ['8:10: `target.schema`: expected text, got nothing; write a value or remove the key'],
    ],
    ['blank text', withTarget("schema: ' '"), ['8:11: `target.schema`: is empty']],
    ['a name with capitals', good.replace('name: a', 'name: A'), [`2:7: \`name\`: ${named}`]],
    [
      'a name that is a number',
      good.replace('name: a', 'name: 7'),
      ['2:7: `name`: expected text, got a number; put it in quotes, and with its unit if it is an amount'],
    ],
    [
      'a name of 101 letters',
      good.replace('name: a', `name: ${'a'.repeat(101)}`),
      [`2:7: \`name\`: ${named}`],
    ],
    ['no tables', withSource('  tables: []'), ['5:11: `source.tables`: must list at least one']],
    [
      'tables as text',
      withSource('  tables: public.t'),
      ['5:11: `source.tables`: expected a list, got text; write `[public.t]`'],
    ],
    [
      'a table without schema',
      withSource('  tables: [t]'),
      ['5:12: `source.tables[0]`: expected `schema.table`; write `public.t`'],
    ],
    [
      'a table of another type',
      withSource('  tables: [7]'),
      ['5:12: `source.tables[0]`: expected text or a mapping, got a number'],
    ],
    [
      'a table without name',
      withSource('  tables: [{ where: x }]'),
      ['5:12: missing key `name` in `source.tables[0]`'],
    ],
    [
      'a misspelt table option',
      withSource('  tables: [{ name: a.b, wher: x }]'),
      ['5:25: unknown key `wher` in `source.tables[0]`; did you mean `where`?'],
    ],
    [
      'a table twice',
      withSource('  tables: [a.b, { name: a.b }]'),
      ['5:17: `source.tables[1]`: table `a.b` is listed twice'],
    ],
    [
      'a column twice',
      withTop('defaults: { columns: [x, y, x] }'),
      ['8:29: `defaults.columns[2]`: column `x` is listed twice'],
    ],
    [
      'a wildcard renamed to one table',
      withSource('  tables: [{ name: a.*, target: { table: x } }]'),
      [
        '5:42: `source.tables[0].target.table`: one name cannot stand for all tables of a wildcard; list the tables, or set only `schema`',
      ],
    ],
    [
      'two tables into one',
      withSource('  tables: [a.b, { name: a.c, target: { table: b } }]'),
      ['5:17: `source.tables[1]`: `a.c` and `a.b` go to the same table of the target'],
    ],
    [
      'a table onto itself',
      good.replace('store: dr', 'store: prod'),
      [
        '5:12: `source.tables[0]`: `public.t` would be copied onto itself; name another target store or schema',
      ],
    ],
    [
      'a size without unit',
      withTop('run: { memory: 256 }'),
      [
        '8:16: `run.memory`: expected text, got a number; put it in quotes, and with its unit if it is an amount',
      ],
    ],
    [
      'a size in lower case',
      withTop('run: { memory: 256mb }'),
      ['8:16: `run.memory`: expected a size such as `512KB`, `64MB`, `1GB` or `1GiB`; write `256MB`'],
    ],
    ['too little memory', withTop('run: { memory: 1KB }'), ['8:16: `run.memory`: must be at least 1MB']],
    [
      'a rate without time',
      withTop('run: { throttle: 9MB }'),
      ['8:18: `run.throttle`: expected a rate such as `100MB/s`; write `9MB/s`'],
    ],
    [
      'a fraction',
      withTop('run: { parallel: 1.5 }'),
      ['8:18: `run.parallel`: expected a whole number, got a fraction'],
    ],
    ['too small', withTop('run: { parallel: 0 }'), ['8:18: `run.parallel`: must be at least 1']],
    ['too big', withTop('run: { parallel: 5000 }'), ['8:18: `run.parallel`: must be at most 1000']],
    ['a run that is no mapping', withTop('run: fast'), ['8:6: `run`: expected a mapping, got text']],
    [
      'a duration',
      withTop('onFailure: { backoff: { initial: 1 second } }'),
      [
        '8:34: `onFailure.backoff.initial`: expected a duration such as `500ms`, `30s`, `5m`, `2h`, `7d` or `1w`; write `1s`',
      ],
    ],
    [
      'a backoff that shrinks',
      withTop('onFailure: { backoff: { initial: 2m, max: 1m } }'),
      ['8:43: `onFailure.backoff.max`: must be at least `initial`'],
    ],
    [
      'a window without ends',
      withTop('defaults: { window: { column: ts } }'),
      ['8:21: `defaults.window`: has neither `from` nor `to`'],
    ],
    ['a window bound', window('from: -7x'), [`8:41: \`defaults.window.from\`: ${timeForms}`]],
    [
      'hours off today',
      window('from: today-12h'),
      [`8:41: \`defaults.window.from\`: ${timeForms}; \`today\` takes whole days, e.g. \`today-1d\``],
    ],
    [
      'a window bound of another type',
      window('from: 7'),
      ['8:41: `defaults.window.from`: expected text or a mapping, got a number'],
    ],
    [
      'a key beside watermark',
      window('from: { watermark: 2026-01-01, x: 1 }, to: now'),
      ['8:66: unknown key `x` in `defaults.window.from`; known are `watermark`'],
    ],
    [
      'a watermark that is no date',
      window('from: { watermark: now }, to: now'),
      [
        '8:54: `defaults.window.from.watermark`: expected a date or time such as `2026-01-31` or `2026-01-31T22:30:00+08:00`',
      ],
    ],
    [
      'a window that ends at the watermark',
      window('to: watermark'),
      ['8:39: `defaults.window.to`: a window begins at the watermark; it cannot end there; write `now`'],
    ],
    [
      'a watermark that cannot move',
      window('from: watermark'),
      [
        '8:41: `defaults.window.from`: the watermark moves to where a run ended, so `to` is needed; add `to: now`',
      ],
    ],
    ['a window backward', window('from: now, to: -7d'), ['8:50: `defaults.window.to`: must be after `from`']],
    [
      'dates backward',
      window('from: 2026-02-01, to: 2026-01-01'),
      ['8:57: `defaults.window.to`: must be after `from`'],
    ],
    [
      'microseconds',
      window('from: 2026-01-01T00:00:00.000001'),
      ['8:41: `defaults.window.from`: a time has milliseconds at the finest'],
    ],
    [
      'an append whose window stands still',
      window('from: 2026-01-01').replace('store: dr', 'store: dr\n  mode: append'),
      [
        '8:9: `target.mode`: `append` with a window without `to` would add nothing after its first run; add `to: now`',
      ],
    ],
    [
      'an append that repeats rows',
      window('to: now').replace('store: dr', 'store: dr\n  mode: append'),
      [
        '8:9: `target.mode`: `append` with a window without `from` would add the same rows in each run; add `from: watermark`',
      ],
    ],
    [
      'an append with a window for one table only',
      withSource('  tables: [a.b, { name: a.c, window: { column: x, from: -1d, to: now } }]').replace(
        'store: dr',
        'store: dr\n  mode: append',
      ),
      ['8:9: `target.mode`: `append` needs a window for all tables or for none; split the job in two'],
    ],
    [
      'two watermarks',
      withSource(
        '  tables: [{ name: a.b, window: { column: x, from: watermark, to: today } }, { name: a.c, window: { column: x, from: watermark, to: now } }]',
      ),
      [
        '5:11: `source.tables`: tables that begin at the watermark must have the same `to` and `timezone`: a job has one watermark; split the job',
      ],
    ],
    [
      'a schedule that says not when',
      withTop('schedule: { overlap: skip }'),
      ['8:11: `schedule`: says not when to run; add `cron` or `calendar`'],
    ],
    [
      'cron and calendar',
      withTop('schedule: { cron: "@daily", calendar: { hour: 1 } }'),
      ['8:11: `schedule`: has both `cron` and `calendar`; keep one'],
    ],
    [
      'an empty calendar',
      withTop('schedule: { calendar: {} }'),
      ['8:23: `schedule.calendar`: names no field, e.g. `hour`'],
    ],
    [
      'a calendar field',
      withTop('schedule: { calendar: { hour: 24 } }'),
      ['8:31: `schedule.calendar.hour`: `24` is no hour: 0 to 23'],
    ],
    [
      'a short cron',
      withTop('schedule: { cron: "30 22 * *" }'),
      ['8:19: `schedule.cron`: expected 5 fields `minute hour day month weekday`, got 4; e.g. `30 22 * * *`'],
    ],
    [
      'a cron field',
      withTop('schedule: { cron: "61 * * * *" }'),
      ['8:19: `schedule.cron`: field 1: `61` is no minute: 0 to 59'],
    ],
    [
      'a cron range backward',
      withTop('schedule: { cron: "0 5-1 * * *" }'),
      ['8:19: `schedule.cron`: field 2: `5-1` ends before it begins'],
    ],
    [
      'a cron shorthand',
      withTop('schedule: { cron: "@dayly" }'),
      [
        '8:19: `schedule.cron`: expected one of `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly` or five fields; did you mean `@daily`?',
      ],
    ],
    [
      'a cron with a zone',
      withTop('schedule: { cron: "TZ=UTC 1 1 * * *" }'),
      ['8:19: `schedule.cron`: names a time zone of its own; write it under `timezone`'],
    ],
    [
      'a time zone in lower case',
      withTop('schedule: { cron: "@daily", timezone: europe/berlin }'),
      [
        '8:39: `schedule.timezone`: expected an IANA time zone such as `Asia/Shanghai` or `UTC`; did you mean `Europe/Berlin`?',
      ],
    ],
    [
      'an offset as time zone',
      withTop('schedule: { cron: "@daily", timezone: "+08:00" }'),
      ['8:39: `schedule.timezone`: expected an IANA time zone such as `Asia/Shanghai` or `UTC`'],
    ],
    [
      'a day that is none',
      withTop('schedule: { cron: "@daily", startAt: 2026-02-30 }'),
      [
        '8:38: `schedule.startAt`: expected a date or time such as `2026-01-31` or `2026-01-31T22:30:00+08:00`',
      ],
    ],
    [
      'an end before the start',
      withTop('schedule: { cron: "@daily", startAt: 2026-02-02, endAt: 2026-02-01 }'),
      ['8:57: `schedule.endAt`: must be after `startAt`'],
    ],
    [
      'too short a catch-up',
      withTop('schedule: { cron: "@daily", catchup: 1s }'),
      ['8:38: `schedule.catchup`: must be at least 10s'],
    ],
    [
      'a reference to a secret',
      good.replace('store: dr', 'store: ${DR}'),
      [
        '7:10: `${…}` is not filled in here: a job file is shown in the Temporal UI and kept in its history; put it under `stores` in syncline.yaml and name the store',
      ],
    ],
    [
      'the same name in two documents',
      `${good}---\n${good}`,
      ['10:7: job name `a` is used twice; it is also at f:2'],
    ],
    ['a key twice', 'kind: copy\nkind: copy\n', ['2:1: this key is there twice; keep one']],
    [
      'a tab',
      'kind: copy\nsource:\n\tstore: x\n',
      [expect.stringMatching(/^3:1: a tab cannot indent; use spaces/)],
    ],
    ['an open bracket', 'kind: [copy\n', [expect.stringMatching(/^2:1: YAML: flow sequence/)]],
    [
      'a percent sign without quotes',
      'chunks: %2024\n',
      [expect.stringMatching(/^1:9: YAML: plain value cannot start .* %; put the text in quotes$/)],
    ],
    [
      'a wildcard without quotes',
      'tables: [*.t]\n',
      ['1:10: there is no anchor `.t` before this alias; a text that begins with `*` needs quotes'],
    ],
    ['an alias that contains itself', 'a: &x { b: [*x] }\n', ['1:13: alias `*x` contains itself']],
    ['a tag', 'a: !!timestamp 2026-01-01\n', ['1:4: YAML tags (`!…`) have no meaning here; remove the tag']],
  ])('%s', (_what, text, errors) => {
    expect(errorsOf(text)).toEqual(errors);
  });
});

describe('a file as a whole', () => {
  it('shows every error at once, in order', () => {
    const text =
      good.replace('name: a', 'name: A').replace('[public.t]', '[t]') + '  mode: x\nrun: { parallel: 0 }\n';
    expect(errorsOf(text).map((error) => error.split(' ')[0])).toEqual(['2:7:', '5:12:', '8:9:', '9:18:']);
  });

  it('with one wrong document yields no job at all', () => {
    const { jobs, diagnostics } = parseJobFile(`${good}---\n${good.replace('name: a', 'name: B')}`, {
      file: 'f',
    });
    expect(jobs).toEqual([]);
    expect(diagnostics).toHaveLength(1);
  });

  it('may hold several jobs and empty documents', () => {
    const { jobs } = parseJobFile(`---\n${good}---\n---\n${good.replace('name: a', 'name: b')}`, {
      file: 'f',
    });
    expect(jobs.map(({ name, line }) => [name, line])).toEqual([
      ['a', 2],
      ['b', 11],
    ]);
  });

  it('must not share a name with another file', () => {
    const { jobs, diagnostics } = parseJobFiles([
      { file: 'one', text: good },
      { file: 'two', text: good },
    ]);
    expect(jobs).toEqual([]);
    expect(diagnostics.map(formatDiagnostic)).toEqual([
      'two:2:7: job name `a` is used twice; it is also at one:2',
    ]);
  });

  it('may use anchors and aliases', () => {
    const text = withTop('defaults: { window: &w { column: ts, from: -1d, to: now } }').replace(
      '[public.t]',
      '[{ name: public.t, columns: &c [x] }, { name: public.u, columns: *c }]',
    );
    expect(errorsOf(text)).toEqual([]);
  });

  it('may have Windows line ends and a byte order mark', () => {
    expect(errorsOf(`\uFEFF${good.replaceAll('\n', '\r\n')}`)).toEqual([]);
    expect(errorsOf(`${good}  mode: x\n`.replaceAll('\n', '\r\n'))).toEqual([
      expect.stringMatching(/^8:9: /),
    ]);
  });

  it('keeps words such as yes and 12:30 as text, whatever YAML version it claims', () => {
    const text = `%YAML 1.1\n---\n${good.replace('name: a', 'name: yes')}schedule: { cron: '@daily', startAt: 2026-01-01 }\n`;
    expect(errorsOf(text)).toEqual([]);
  });

  it('is refused when it is huge or made so by aliases', () => {
    expect(errorsOf('#'.repeat(1_000_001))).toEqual([
      expect.stringMatching(/^1:1: the file has more than 1,000,000/),
    ]);
    const level = (n: number): string =>
      `l${n}: &l${n} [${Array.from({ length: 9 }, () => `*l${n - 1}`).join(', ')}]`;
    const bomb = ['l0: &l0 [x]', ...Array.from({ length: 9 }, (_, n) => level(n + 1))].join('\n');
    expect(errorsOf(bomb)).toEqual([expect.stringMatching(/^1:1: aliases multiply/)]);
  });

  it('never makes the parser throw, whatever it holds', () => {
    const keys = [
      'kind',
      'name',
      'source',
      'target',
      'tables',
      'window',
      'from',
      'schedule',
      'run',
      'defaults',
      '${x}',
      '*',
    ];
    const scalar = fc.oneof(
      fc.constantFrom('copy', 'public.t', 'now', '-7d', null, '&a', '*a'),
      fc.integer(),
      fc.string(),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        scalar,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys), tie('tree'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const whole = JSON.stringify({
          kind: 'copy',
          name: 'a',
          source: value,
          target: value,
          defaults: value,
        });
        for (const text of [whole, whole.replaceAll('"', ''), whole.slice(0, -3)]) {
          const { jobs, diagnostics } = parseJobFile(text, { file: 'f' });
          expect(jobs.length === 0).toBe(diagnostics.length > 0);
          for (const diagnostic of diagnostics) expect(renderDiagnostic(diagnostic, text)).toContain('f:');
        }
      }),
    );
  });
});

describe('a rendered diagnostic', () => {
  const render = (text: string): string =>
    parseJobFile(text, { file: 'job.yaml' })
      .diagnostics.map((found) => renderDiagnostic(found, text))
      .join('\n');

  it('shows the line and marks the text', () => {
    expect(render(withTarget('mode: replcae'))).toBe(
      [
        'job.yaml:8:9: `target.mode`: expected one of `replace`, `append`, `upsert`; did you mean `replace`?',
        '  8 |   mode: replcae',
        '    |         ^^^^^^^',
      ].join('\n'),
    );
  });

  it('cuts long lines around the mark', () => {
    const [, shown = '', caret = ''] = render(withSource(`  tables: [${'public.a, '.repeat(40)}t]`))
      .split('\n')
      .slice(-3);
    expect(shown.length).toBeLessThan(120);
    expect(shown.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('t');
  });

  it('lets no control character through to the terminal', () => {
    expect(render('kind: "\u001b[31mcopy"\n')).not.toContain('\u001b');
  });

  it('blanks passwords that stand in the line', () => {
    const line = 'url: postgres://me:s3cret@h/d, password: hunter2';
    const shown = renderDiagnostic(
      { file: 'f', line: 1, column: 1, length: 3, message: 'm', hint: null },
      line,
    );
    expect(shown).toContain('postgres://me:******@h/d');
    expect(shown).not.toMatch(/s3cret|hunter2/);
  });
});

describe('the examples', () => {
  it.each([
    'copy.yaml',
    'copy-nightly.yaml',
    'backup-restore.yaml',
    'backup-restore-once.yaml',
    'duplication.yaml',
  ])('%s is right', (name) => {
    const text = readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
    expect(parseJobFile(text, { file: name }).diagnostics).toEqual([]);
  });
});
