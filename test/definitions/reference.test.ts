import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorTable } from '../../definitions/errors.ts';
import {
  alternativesOf,
  isSchema,
  jobJsonSchema,
  kindJsonSchema,
  storesJsonSchema,
} from '../../definitions/json-schema.ts';
import type { JsonSchema } from '../../definitions/json-schema.ts';
import { errorsPage, jobPage, storesPage } from '../../scripts/reference-pages.ts';

/** Every key of a schema with its path. */
function keysIn(schema: JsonSchema, path = ''): { path: string; key: JsonSchema }[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, key]) =>
    isSchema(key) ? [{ path: `${path}.${name}`, key }, ...keysIn(key, `${path}.${name}`)] : [],
  );
  const inner = [...alternativesOf(schema), schema.items, schema.additionalProperties].filter(isSchema);
  return [...own, ...inner.flatMap((child) => keysIn(child, path))];
}

describe.each([
  ['job', jobJsonSchema()],
  ['syncline.yaml', storesJsonSchema()],
])('the JSON Schema of %s', (_name, schema) => {
  it('is draft 2020-12', () => {
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  });

  it('describes every key', () => {
    const silent = keysIn(schema).filter(({ key }) => key.description === undefined);
    expect(silent.map(({ path }) => path)).toEqual([]);
  });
});

describe('the JSON Schema of job', () => {
  it('allows no other keys, anywhere', () => {
    const open = keysIn(jobJsonSchema()).filter(
      ({ key }) => key.type === 'object' && key.additionalProperties !== false,
    );
    expect(open.map(({ path }) => path)).toEqual([]);
  });

  it('shows defaults as people write them', () => {
    const defaults = new Map(keysIn(kindJsonSchema('copy')).map(({ path, key }) => [path, key.default]));
    const paths = [
      '.run.memory',
      '.source.chunkBytes',
      '.source.chunks',
      '.onFailure.backoff.max',
      '.schedule.catchup',
    ];
    expect(paths.map((path) => defaults.get(path))).toEqual(['256MB', '1GB', '%', '1m', '1d']);
  });
});

describe('the reference', () => {
  it.each([
    ['job.md', jobPage],
    ['stores.md', storesPage],
    ['errors.md', errorsPage],
  ])('%s is what the program says today', (name, page) => {
    const written = readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8');
    expect(written).toBe(page());
  });

  it('names every error code', () => {
    const page = errorsPage();
    expect(Object.keys(errorTable).filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });
});
