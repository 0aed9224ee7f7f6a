import type { ChunkSource, LoadUnit, TablePlan } from '../../../../stores/spi/chunk-source.ts';
import { requireCapability, type Store } from '../../../../stores/spi/store.ts';
import { contentOf, inPieces } from '../../../conformance/streams.ts';

/** A backup in memory: rows as they left the source, unframed, each unit with what was known of it then. */
export async function keptSource(from: Store, plan: TablePlan, units: readonly LoadUnit[]): Promise<Store> {
  const source = requireCapability(from, 'chunkSource');
  const { signal } = new AbortController();
  const kept = new Map<number, Awaited<ReturnType<typeof keep>>>();
  const keep = async (unit: LoadUnit) => {
    const reading = await source.open({ plan, unit, verify: 'digest', framed: false, job: 'kept', signal });
    try {
      const bytes = await contentOf(reading.rows().bytes);
      const { rows } = await reading.copied();
      return {
        bytes,
        announced: { rows, bytes: bytes.length, digest: await reading.digest() },
        mark: reading.mark,
      };
    } finally {
      await reading.close();
    }
  };
  for (const unit of units) if (unit.kind !== 'finish') kept.set(unit.slice, await keep(unit));
  const chunkSource: ChunkSource = {
    cut: (table, options) => source.cut(table, options),
    endSessions: () => Promise.resolve(0),
    announcedSlices: () =>
      Promise.resolve(
        [...kept].map(([slice, { announced, mark }]) => ({
          slice,
          rows: announced.rows,
          digest: announced.digest,
          mark,
        })),
      ),
    open: ({ unit }) => {
      const one = kept.get(unit.slice);
      if (one === undefined) return Promise.reject(new Error('Not kept.'));
      return Promise.resolve({
        mark: one.mark,
        announced: one.announced,
        rows: () => ({ format: plan.format, framed: false, bytes: inPieces(one.bytes) }),
        copied: () => Promise.resolve(one.announced),
        digest: () => Promise.resolve(one.announced.digest),
        close: () => Promise.resolve(),
      });
    },
  };
  return { ...from, capabilities: { chunkSource } };
}
