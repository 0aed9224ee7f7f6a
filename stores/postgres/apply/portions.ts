import type { DrainSpool, LinkRef } from '../../spi/log-target.ts';
import { quoteLiteral } from '../identifiers.ts';
import { whereLink } from './link-state.ts';
import { spoolColumns, type SpoolRow } from './spool.ts';

/** As much of the spool as one transaction takes: about so many bytes of images, whatever the number of changes. */
const portionBytes = 16 * 1024 * 1024;
const widest = 1_024;

export interface Portion {
  readonly bytes: number;
  /** Everything of these leaves up to here is in it, or was taken before. */
  readonly through: number;
  /** Whether something may be left beyond it. */
  readonly more: boolean;
}

/**
 * Cuts what waits for some leaves into portions, in the order of the log over all of them: several may go to one table.
 * Numbers in the spool are given to all leaves in turn, so a range of numbers from the first that waits on is found in each
 * leaf by its key, and holds no more rows than its width. Where few of them are of these leaves the ranges become wider.
 */
export class Portions {
  /** By leaf: everything up to here is gone, and what was deleted a moment ago need not be passed over again. */
  private readonly floors = new Map<string, number>();
  private width = 1;

  /**
   * At least one change, however big. The inner limits are more than limits: without them the planner, which knows nothing of
   * a spool that was filled a moment ago, would make one join of it and read all of it for every leaf.
   */
  statement(ref: LinkRef, { leaves, limit }: Pick<DrainSpool, 'leaves' | 'limit'>): string {
    const names = leaves.map(quoteLiteral).join(', ');
    const floors = leaves.map((leaf) => String(this.floors.get(leaf) ?? 0)).join(', ');
    const columns = spoolColumns.replace('job, target, ', '');
    const one = `FROM syncline.spool WHERE ${whereLink(ref)} AND leaf = l.name AND seq`;
    return `WITH l AS (SELECT * FROM ROWS FROM (
          pg_catalog.unnest(ARRAY[${names}]::text[]), pg_catalog.unnest(ARRAY[${floors}]::bigint[])) AS l(name, floor)),
      first AS (SELECT pg_catalog.min(f.seq) AS seq
        FROM l CROSS JOIN LATERAL (SELECT seq ${one} > l.floor ORDER BY leaf, seq LIMIT 1) f)
      SELECT * FROM (
        SELECT p.*, pg_catalog.sum(p.bytes) OVER (ORDER BY p.seq) - p.bytes AS before FROM (
          SELECT p.* FROM first CROSS JOIN l CROSS JOIN LATERAL (
            SELECT ${columns} ${one} >= first.seq AND seq < first.seq + ${String(limit * this.width)}
             ORDER BY leaf, seq LIMIT ${String(limit)}) p
          ORDER BY p.seq LIMIT ${String(limit)}) p) portion
      WHERE before < ${String(portionBytes)} ORDER BY seq`;
  }

  /** What was read by the statement; `lastSeq` is the last number that has been given. */
  read(rows: readonly SpoolRow[], { limit }: Pick<DrainSpool, 'limit'>, lastSeq: number): Portion {
    const [first, last] = [rows[0], rows.at(-1)];
    if (first === undefined || last === undefined) return { bytes: 0, through: lastSeq, more: false };
    const bytes = rows.reduce((sum, row) => sum + Number(row.bytes), 0);
    const isCut = rows.length >= limit || bytes >= portionBytes;
    // Numbers beyond the last one are still to be given, to changes that are not here.
    const end = Math.min(lastSeq, Number(first.seq) + limit * this.width - 1);
    const through = isCut ? Number(last.seq) : end;
    if (isCut) this.width = Math.max(1, this.width / 2);
    else if (rows.length < limit / 2) this.width = Math.min(widest, this.width * 4);
    return { bytes, through, more: isCut || through < lastSeq };
  }

  /** Of a portion that was committed. */
  taken(leaves: readonly string[], { through }: Portion): void {
    for (const leaf of leaves) this.floors.set(leaf, through);
  }
}
