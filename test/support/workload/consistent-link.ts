import type { IsConsistent } from './reader.ts';

/**
 * Whether the link of a job says that its target equals an instant of the source. Changes of partitions that are being
 * loaded may wait: their table is compared at the end only.
 */
export function consistentLink(job: string): IsConsistent {
  return async (client) => {
    const { rows } = await client.query<{ consistent: boolean }>(
      `SELECT consistent_at IS NOT NULL AND NOT EXISTS (
                SELECT FROM syncline.spool s WHERE s.job = l.job AND s.target = l.target AND NOT starts_with(leaf, 'lab.growing')) AS consistent
         FROM syncline.link l WHERE job = $1`,
      [job],
    );
    return rows[0]?.consistent === true;
  };
}
