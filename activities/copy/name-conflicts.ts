import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import { displayName, type TableName } from '../../stores/spi/tables.ts';
import type { DescribedJob, DescribedTable } from './describe-job.ts';

/**
 * A partition that `createTables` would make may have its name taken: by a table that was detached, say. It would be
 * left as it is, and the rows of the partition would go there, or replace what it holds.
 */
export async function nameConflicts(described: DescribedJob): Promise<PreflightFinding[]> {
  const reader = requireCapability(described.target, 'tableReader');
  const findings: PreflightFinding[] = [];
  for (const table of described.tables.filter(({ match }) => match.create)) {
    const names = missingNames(table);
    const found = await reader.find(names);
    const seen = new Set<string>();
    for (const [index, name] of names.entries()) {
      if ((found[index] ?? null) !== null) findings.push(taken(table, name));
      else if (seen.has(displayName(name))) findings.push(ambiguous(table, name));
      seen.add(displayName(name));
    }
  }
  return findings;
}

/** After the tables were made: what is still missing has its name taken by something that is no table. */
export function stillMissing(described: DescribedJob): PreflightFinding[] {
  return described.tables.flatMap((table) => missingNames(table).map((name) => taken(table, name)));
}

function missingNames({ match }: DescribedTable): TableName[] {
  return match.leaves.filter((leaf) => leaf.toCreate).map((leaf) => leaf.target);
}

function taken(table: DescribedTable, name: TableName): PreflightFinding {
  const root = displayName(table.target);
  const shown = displayName(name);
  return {
    severity: 'error',
    code: 'target.partitionMissing',
    table: root,
    message:
      shown === root
        ? `Table ${root} cannot be made: something else on the target has its name.`
        : `Partition ${shown} of ${root} cannot be made: another object on the target has its name.`,
    cure: `Rename or drop ${shown} on the target, or attach it to ${root}.`,
  };
}

/** Names of partitions follow the new name of their table, and may meet. */
function ambiguous(table: DescribedTable, name: TableName): PreflightFinding {
  const root = displayName(table.target);
  return {
    severity: 'error',
    code: 'target.partitionMissing',
    table: root,
    message: `Two partitions of ${root} would be called ${displayName(name)}.`,
    cure: `Create ${root} with its partitions on the target yourself, or choose another \`targetTable\`.`,
  };
}
