import { describe, expect, it } from 'vitest';
import { normaliseBound } from '../../../../stores/postgres/catalog/leaves.ts';
import { parsePattern } from '../../../../stores/postgres/catalog/patterns.ts';

describe('a table pattern', () => {
  it.each([
    ['public.trades', ['public', 'trades'], false],
    ['trades', ['public', 'trades'], false],
    ['sales.t*_x', ['sales', 't%\\_x'], true],
    ['"a.b"."T*""1"', ['a.b', 'T*"1'], false],
    ['x"*"*.y', ['x*%', 'y'], true],
  ])('%s is read as LIKE patterns', (pattern, likes, wildcard) => {
    const { schema, name } = parsePattern(pattern);
    expect([schema.like, name.like]).toEqual(likes);
    expect(schema.hasWildcard || name.hasWildcard).toBe(wildcard);
  });

  it.each(['a.b.c', '.a', 'a.', '', '"open.x'])('%s is refused', (pattern) => {
    expect(() => parsePattern(pattern)).toThrow(/pattern/i);
  });
});

describe('a list bound', () => {
  it('is the same text whatever the order of its values', () => {
    const bound = "FOR VALUES IN ('b, (x)', 'a''s', NULL)";
    expect(normaliseBound(bound)).toBe("FOR VALUES IN ('a''s', 'b, (x)', NULL)");
    expect(normaliseBound("FOR VALUES IN (NULL, 'a''s', 'b, (x)')")).toBe(normaliseBound(bound));
    expect(normaliseBound("FOR VALUES FROM ('b') TO ('c')")).toBe("FOR VALUES FROM ('b') TO ('c')");
  });
});
