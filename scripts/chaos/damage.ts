import { compareSides, sumLedger, type Sides } from '../../test/e2e/lab/checks.ts';
import { oldRows, type Shape } from '../../test/e2e/lab/shape.ts';

export interface Damage {
  /** Rows of the source that are missing or out of date on the target, and old rows that had to stay. */
  readonly lost: number;
  /** Rows that are there more than once, and old rows that had to go. */
  readonly doubled: number;
  /** Anything else that makes the sides differ. */
  readonly different: boolean;
}

interface PartRow {
  readonly part: number;
  readonly rows: string;
  readonly keys: string;
  readonly stale: string;
  readonly old: string;
}

/** Counts what went wrong, by SQL that is not syncline's. The source holds the ids 1 to n of each part. */
export async function damageOf(sides: Sides, shape: Shape): Promise<Damage> {
  const parts = await sides.target.query<PartRow>(`
    SELECT part, count(*) FILTER (WHERE id > 0) AS rows, count(DISTINCT id) FILTER (WHERE id > 0) AS keys,
           count(*) FILTER (WHERE id > 0 AND filler = 'stale') AS stale, count(*) FILTER (WHERE id < 0) AS old
      FROM lab.t GROUP BY part`);
  const damage = { lost: 0, doubled: 0 };
  for (const [part, rows] of shape.rows.entries()) {
    const found = parts.find((one) => one.part === part);
    const keys = Number(found?.keys ?? 0);
    const old = Number(found?.old ?? 0) - (shape.mode === 'replace' ? 0 : oldRows);
    damage.lost += rows - keys + Number(found?.stale ?? 0) + Math.max(0, -old);
    damage.doubled += Number(found?.rows ?? 0) - keys + Math.max(0, old);
  }
  const { expected, found, expectedOld, foundOld } = await compareSides(sides, shape);
  return { ...damage, different: expected.digest !== found.digest || expectedOld !== foundOld };
}

export interface Traffic {
  readonly copiedBytes: number;
  readonly recopiedBytes: number;
}

/** Each row travels in a frame of its own; statements and catalogue reads are a few per unit and per attempt. */
const bytesOfFrame = 5;
const talkBytes = 60_000;
const talkBytesOfUnit = 2_000;

/** Bytes that left the source beyond one copy of every row. */
export async function trafficOf(sides: Sides, job: string, wireBytes: number): Promise<Traffic> {
  const { bytes, rows, units } = await sumLedger(sides.target, job);
  const once = bytes + rows * bytesOfFrame + talkBytes + units * talkBytesOfUnit;
  return { copiedBytes: bytes, recopiedBytes: Math.max(0, wireBytes - once) };
}
