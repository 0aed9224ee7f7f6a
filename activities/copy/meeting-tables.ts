import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type { DescribedTable } from './describe-job.ts';

/** Tables that are their own target: the load would wait for its own reader, or double the rows. */
export function ontoThemselves(tables: readonly DescribedTable[]): PreflightFinding[] {
  return tables.flatMap(ontoItself);
}

function ontoItself({ definition, existing, target }: DescribedTable): PreflightFinding[] {
  const isSamePlace = definition.place !== undefined && definition.place === existing?.place;
  if (!isSamePlace) return [];
  const there = new Set([target, ...existing.leaves.map((leaf) => leaf.name)].map(displayName));
  const meets = [definition.name, ...definition.leaves.map((leaf) => leaf.name)].find((name) =>
    there.has(displayName(name)),
  );
  if (meets === undefined) return [];
  return [
    {
      severity: 'error',
      code: 'target.replaceRefused',
      table: displayName(target),
      message: `Table ${displayName(meets)} would be copied onto itself: both stores are the same database.`,
      cure: 'Name another store, or another `targetSchema` or `targetTable`.',
    },
  ];
}

/** Tables that share a target which each of them replaces. What takes only some rows replaces only those. */
export function replacedTwice(tables: readonly DescribedTable[]): PreflightFinding[] {
  const byTarget = new Map<string, DescribedTable[]>();
  for (const table of tables) {
    const name = displayName(table.target);
    byTarget.set(name, [...(byTarget.get(name) ?? []), table]);
  }
  return [...byTarget].flatMap(([name, several]): PreflightFinding[] => {
    const isSafe = several.every(({ selection, window }) => selection.where !== undefined || window !== null);
    if (several.length < 2 || isSafe) return [];
    const sources = several.slice(0, 5).map(({ definition }) => displayName(definition.name));
    return [
      {
        severity: 'error',
        code: 'target.replaceRefused',
        table: name,
        message: `${sources.join(', ')} all go into ${name}, and replacing its rows by one of them would remove those of the others.`,
        cure: 'Use `append` or `upsert`, give each a `targetTable` of its own, or take some rows of each with `where`.',
      },
    ];
  });
}
