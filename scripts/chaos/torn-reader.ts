import { setTimeout as delay } from 'node:timers/promises';
import type { LabDatabase } from '../../test/e2e/lab/database.ts';
import { rowsBefore, type Shape } from '../../test/e2e/lab/shape.ts';

/** A user of the target who looks again and again while it is loaded. */
export interface TornReader {
  /** Looks at a partition that held neither the old rows nor the new ones. */
  stop(): Promise<number>;
}

const everyMs = 40;

export function startTornReader(target: LabDatabase, shape: Shape): TornReader {
  const reader = { torn: 0, going: true };
  const reading = readOn(target, shape, reader);
  return {
    async stop() {
      reader.going = false;
      await reading;
      return reader.torn;
    },
  };
}

interface Reader {
  torn: number;
  going: boolean;
}

async function readOn(target: LabDatabase, shape: Shape, reader: Reader): Promise<void> {
  while (reader.going) {
    const counts = await countsOf(target).catch(() => null);
    if (counts !== null) reader.torn += tornParts(counts, shape);
    await delay(everyMs);
  }
}

async function countsOf(target: LabDatabase): Promise<ReadonlyMap<number, number>> {
  const rows = await target.query<{ part: number; rows: string }>(
    'SELECT part, count(*) AS rows FROM lab.t GROUP BY part',
  );
  return new Map(rows.map(({ part, rows: count }) => [part, Number(count)]));
}

/** Only a replace exchanges a chunk as a whole; appended and merged slices come one after the other. */
export function tornParts(counts: ReadonlyMap<number, number>, shape: Shape): number {
  if (shape.mode !== 'replace') return 0;
  const old = rowsBefore(shape);
  return shape.rows.filter((rows, part) => {
    const found = counts.get(part) ?? 0;
    return found !== old && found !== rows;
  }).length;
}
