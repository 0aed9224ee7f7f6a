import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createProgram } from '../../cli/program.ts';
import { childSchema, kindJsonSchema } from '../../definitions/json-schema.ts';
import { pegasusPhases } from '../../planning/link-phases.ts';
import { metricNames } from '../../worker/metrics.ts';
import { linkProgress } from '../support/link-status.ts';

// docs/reference/duplication.md is written by hand: its names must be those of the program.

const page = readFileSync(new URL('../../docs/reference/duplication.md', import.meta.url), 'utf8');

function namesIn(pattern: RegExp): string[] {
  return [...new Set([...page.matchAll(pattern)].map(([, name = '']) => name))].sort();
}

test('its commands and their options exist', () => {
  const { commands } = createProgram();
  const known = new Map(commands.map((command) => [command.name(), command]));
  const used = [...page.matchAll(/`syncline ([a-z]+)([^`]*)/g)];
  expect(used.length).toBeGreaterThan(30);
  for (const [text, name = '', rest = ''] of used) {
    const command = known.get(name);
    expect(command, text).toBeDefined();
    const options = command?.options.map(({ long }) => long) ?? [];
    for (const [option] of rest.matchAll(/--[a-z-]+/g)) expect(options, text).toContain(option);
  }
});

test('it names every series of a link, and none that is not', () => {
  const series = Object.values(metricNames);
  const ofLinks = series.filter((name) => /^syncline_(log|link)_/.test(name));
  expect(namesIn(/`(syncline_[a-z_]+)`/g).filter((name) => !series.some((one) => one === name))).toEqual([]);
  expect(ofLinks.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test('it describes every field of a link and every phase', () => {
  const fields = Object.keys(linkProgress()).map((key) => `progress.${key}`);
  expect(fields.filter((field) => !page.includes(`\`${field}\``))).toEqual([]);
  expect(Object.entries(pegasusPhases).filter(([, word]) => !page.includes(word))).toEqual([]);
});

test('its keys are those of the job file', () => {
  const schema = kindJsonSchema('duplication');
  const keys = namesIn(/`((?:load|log|retention|onFailure)(?:\.[a-zA-Z]+)+)[:`]/g).filter(
    (key) => !/^log\.(slotLost|gap|notReady)$/.test(key),
  );
  expect(keys.length).toBeGreaterThan(8);
  expect(keys.filter((key) => childSchema(schema, key.split('.')) === null)).toEqual([]);
});
