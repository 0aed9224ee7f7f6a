import { expect, it } from 'vitest';
import { inGroups } from '../../planning/in-groups.ts';

async function* upTo(count: number): AsyncGenerator<number> {
  for (let at = 1; at <= count; at += 1) yield await Promise.resolve(at);
}

it.each([
  [0, []],
  [2, [[1, 2]]],
  [5, [[1, 2], [3, 4], [5]]],
])('%i things in groups of two', async (count, groups) => {
  const found: number[][] = [];
  for await (const group of inGroups(upTo(count), 2)) found.push(group);
  expect(found).toEqual(groups);
});
