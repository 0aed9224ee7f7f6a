import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDiagnostic } from '../../definitions/diagnostics.ts';
import { interpolate, referencesIn } from '../../definitions/interpolation.ts';
import { parseStoresFile } from '../../definitions/stores-file.ts';

function errorsOf(text: string): string[] {
  const { config, diagnostics } = parseStoresFile(text, { file: 'f' });
  expect(config === null).toBe(diagnostics.length > 0);
  return diagnostics.map((diagnostic) => formatDiagnostic(diagnostic).slice('f:'.length));
}

describe('a stores file', () => {
  it('keeps the settings of each store as they are written', () => {
    const text = `stores:
  prod: { kind: postgres, url: "\${PROD_URL}", connections: 8, volumes: { a: b } }
`;
    expect(parseStoresFile(text, { file: 'f' }).config).toStrictEqual({
      stores: {
        prod: {
          kind: 'postgres',
          settings: { kind: 'postgres', url: '${PROD_URL}', connections: 8, volumes: { a: 'b' } },
        },
      },
      temporal: { taskQueue: 'syncline' },
      worker: { shutdownGraceTimeMs: 30_000, logLevel: 'info', maxActivities: 16 },
    });
  });

  it('serves jobs to this machine only unless it is told otherwise, and not at all unless it is told to', () => {
    const served = parseStoresFile('stores: {}\nworker: { http: {} }\n', { file: 'f' });
    expect(served.config?.worker.httpAddress).toBe('127.0.0.1:9465');
    expect(parseStoresFile('stores: {}\n', { file: 'f' }).config?.worker).not.toHaveProperty('httpAddress');
  });

  it('reads the settings of Temporal and of the worker', () => {
    const text = `stores: {}
temporal: { profile: "\${PROFILE:default}", taskQueue: q, address: "localhost:7233", namespace: n }
worker:
  metrics: { address: 127.0.0.1:9464 }
  health: { address: "[::1]:8080" }
  http: { address: 0.0.0.0:80 }
  shutdownGraceTime: 2m
  log: { level: debug }
  maxActivities: 4
`;
    expect(parseStoresFile(text, { file: 'f' }).config).toMatchObject({
      temporal: { profile: '${PROFILE:default}', taskQueue: 'q', address: 'localhost:7233', namespace: 'n' },
      worker: {
        metricsAddress: '127.0.0.1:9464',
        healthAddress: '[::1]:8080',
        httpAddress: '0.0.0.0:80',
        shutdownGraceTimeMs: 120_000,
        logLevel: 'debug',
        maxActivities: 4,
      },
    });
  });

  it('of the examples is right', () => {
    const text = readFileSync(new URL('../../examples/syncline.yaml', import.meta.url), 'utf8');
    const { config, diagnostics } = parseStoresFile(text, { file: 'syncline.yaml' });
    expect(diagnostics).toEqual([]);
    expect(Object.keys(config?.stores ?? {})).toEqual(['prod', 'dr', 'vault', 'disk', 'dr-vault']);
  });

  it.each<[what: string, text: string, errors: string[]]>([
    ['is empty', '', ['1:1: the file names no store; write `stores:`']],
    ['names no stores', 'worker: {}\n', ['1:1: missing key `stores`']],
    [
      'has a store without kind',
      'stores:\n  prod: { url: x }\n',
      ['2:3: missing key `kind` in `stores.prod`'],
    ],
    [
      'has a store that is no mapping',
      'stores: { prod: x }\n',
      ['1:17: `stores.prod`: expected a mapping, got text'],
    ],
    [
      'has a strange store name',
      'stores: { a b: { kind: x } }\n',
      ['1:11: name `a b`: must begin with a letter and hold only letters, digits, `-`, `_` and `.`'],
    ],
    [
      'misspells a section',
      'stores: {}\nworkers: {}\n',
      ['2:1: unknown key `workers`; did you mean `worker`?'],
    ],
    [
      'misspells a level',
      'stores: {}\nworker: { log: { level: debugg } }\n',
      [
        '2:25: `worker.log.level`: expected one of `trace`, `debug`, `info`, `warn`, `error`; did you mean `debug`?',
      ],
    ],
    [
      'has an address without port',
      'stores: {}\nworker: { metrics: { address: localhost } }\n',
      ['2:31: `worker.metrics.address`: expected `host:port`, e.g. `127.0.0.1:9464`'],
    ],
    [
      'has a reference under worker',
      'stores: {}\nworker: { log: { level: "${L}" } }\n',
      [
        '2:25: `${…}` is filled in only in the settings under `stores` and `temporal`; write the value itself',
        '2:25: `worker.log.level`: expected one of `trace`, `debug`, `info`, `warn`, `error`',
      ],
    ],
    [
      'has a reference as kind',
      'stores: { a: { kind: "${K}" } }\n',
      [
        '1:22: `${…}` is filled in only in the settings under `stores` and `temporal`; write the value itself',
      ],
    ],
    [
      'has a reference as key',
      'stores: { a: { kind: x, "${K}": 1 } }\n',
      [
        '1:25: `${…}` is filled in only in the settings under `stores` and `temporal`; write the value itself',
      ],
    ],
    [
      'has a malformed reference',
      'stores: { a: { kind: x, url: "${1A}" } }\n',
      [
        '1:30: this `${` is not `${NAME}`, `${NAME:default}` or `${file:/path}`; for a plain `${` write `$${`',
      ],
    ],
    [
      'has an open reference',
      'stores: { a: { kind: x, url: "${A" } }\n',
      [expect.stringContaining('1:30: this `${` is not')],
    ],
    [
      'has two documents',
      'stores: {}\n---\nstores: {}\n',
      ['3:1: this file holds one document; remove the `---`'],
    ],
    [
      'names a store twice',
      'stores:\n  a: { kind: x }\n  a: { kind: x }\n',
      ['3:3: this key is there twice; keep one'],
    ],
  ])('that %s is refused at the place', (_what, text, errors) => {
    expect(errorsOf(text)).toEqual(errors);
  });
});

describe('references', () => {
  const files: Readonly<Record<string, string>> = { '/run/secret': 'from file\n' };
  const surroundings = {
    env: { NAME: 'value', EMPTY: '', TRICKY: '${NAME}$$&' },
    readFile: (path: string): string | null => files[path] ?? null,
  };
  const fill = (text: string) => interpolate({ text }, surroundings);

  it.each([
    ['plain', 'plain'],
    ['${NAME}', 'value'],
    ['a${NAME}b${NAME}', 'avaluebvalue'],
    ['${NAME:other}', 'value'],
    ['${OTHER:other}', 'other'],
    ['${OTHER:}', ''],
    ['${OTHER:a:b}', 'a:b'],
    ['${EMPTY:other}', ''],
    ['$${NAME}', '${NAME}'],
    ['$NAME $$ {', '$NAME $$ {'],
    ['${file:/run/secret}!', 'from file!'],
    ['${TRICKY}', '${NAME}$$&'],
  ])('%s becomes %s', (text, filled) => {
    expect(fill(text)).toEqual({ settings: { text: filled }, missing: [] });
  });

  it('that cannot be filled in are named, each once, all of them', () => {
    const settings = { a: '${A}', b: ['${B}', { c: '${A}${file:/nowhere}' }], d: '${C:x}' };
    expect(interpolate(settings, surroundings).missing).toEqual(['A', 'B', 'file:/nowhere']);
  });

  it('are filled in however deep, and other values stay', () => {
    const settings = { n: 8, ok: true, none: null, list: [1, '${NAME}'], deep: { '${NAME}': '${NAME}' } };
    expect(interpolate(settings, surroundings).settings).toEqual({
      n: 8,
      ok: true,
      none: null,
      list: [1, 'value'],
      deep: { '${NAME}': 'value' },
    });
  });

  it.each(['${', '${}', '${1}', '${a-b}', '${ NAME }', '${file:}', 'x${A}${'])('%s is malformed', (text) => {
    expect(referencesIn(text)).toBeNull();
  });

  it('leave text without any as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('${')),
        (text) => {
          expect(fill(text)).toEqual({ settings: { text }, missing: [] });
        },
      ),
    );
  });

  it('with an escape give back any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '{', '}', ' ') }), (text) => {
        expect(fill(`$\${${text}`).settings['text']).toBe(`\${${text}`);
      }),
    );
  });
});
