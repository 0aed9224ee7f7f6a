import { SynclineError } from '../../../definitions/errors.ts';
import type { LinkState } from '../../spi/log-target.ts';
import type { LogPosition } from '../../spi/log.ts';
import type { Session } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import type { Segment } from './batch-parts.ts';
import { kindBinary } from './copy-rows.ts';
import type { Spread } from './fold.ts';
import { whereLink } from './link-state.ts';
import type { Step } from './message.ts';
import type { Route } from './route.ts';

/**
 * Keys hashed over several sessions that commit one after another, lane 0 with the link's own row last: so the link's
 * position is the smallest. A crash in between leaves lanes ahead of it; what they have is left out when the log comes
 * again. A lane's row says something only while it is ahead.
 *
 * What is put aside (spool, dead letters) is never committed beside lanes: only lane 0 has it, and when the log comes again
 * its table may be loaded, or nobody may remember that it was refused; then a lane would take for done what is nowhere.
 *
 * Only keys that are equal by their bytes alone can be hashed. Where rows of different keys depend on each other (other
 * unique constraints, foreign keys), a table stays in lane 0.
 */
export class Lanes implements Spread {
  readonly count: number;
  private readonly positions: LogPosition[];
  private keysAs: string | null;
  /** What was begun cannot be spread, so the next transaction is lane 0's alone. */
  solo: boolean;

  private constructor(count: number, rows: readonly LaneRow[]) {
    this.count = count;
    this.positions = Array.from({ length: count }, (_, lane) => rowOf(rows, lane)?.position ?? '');
    this.keysAs = rows.find(({ keys_as: keysAs }) => keysAs !== null)?.keys_as ?? null;
    this.solo = rows.some(({ solo }) => solo);
  }

  /** While lanes are ahead there have to be as many as there were. */
  static async read(session: Session, state: LinkState, wanted: number): Promise<Lanes> {
    const rows = await session.query<LaneRow>(
      `SELECT lane, position, lanes, keys_as, solo FROM syncline.lane WHERE ${whereLink(state.ref)}`,
    );
    const ahead = rows.filter(({ position }) => position > state.position);
    return new Lanes(ahead[0]?.lanes ?? wanted, rows);
  }

  laneOf(route: Route, hash: number): number {
    const { hasReferences } = route.target.facts;
    if (this.count === 1 || !route.keyIsExact || route.hasOtherUniques || hasReferences) return 0;
    return (hash >>> 0) % this.count;
  }

  /** Lane 0 is never ahead. */
  isDone(lane: number, position: LogPosition): boolean {
    return lane > 0 && position <= (this.positions[lane] ?? '');
  }

  /** Whether segments can be committed lane by lane. */
  canSpread(segments: readonly Segment[]): boolean {
    const tables = new Set<string>();
    for (const segment of segments) {
      if (segment.kind === 'truncate') return false;
      if (segment.kind === 'keyed' && segment.fold.crossesLanes) return false;
      const { quoted } = segment.fold.route.target;
      // Cut, since its keys come in another encoding, and then they hash differently.
      if (tables.has(quoted)) return false;
      tables.add(quoted);
    }
    return true;
  }

  /** Keys in another encoding than those that lanes ahead were spread by would be taken for done, or not, by mistake. */
  expectSameKeys(state: LinkState, segments: readonly Segment[]): void {
    if (this.positions.every((position) => position <= state.position)) return;
    const kind = keysOf(segments);
    if (kind === null || this.keysAs === null || kind === this.keysAs) return;
    throw new SynclineError(
      'log.gap',
      `Lanes of the link of ${state.ref.job} to ${state.ref.target} were ahead when it ended, and the log comes in another encoding now.`,
    );
  }

  /** Nothing when somebody else has moved the link. */
  moveStep(state: LinkState, lane: number, { to, keysAs }: LaneMove): Step {
    const position = to > (this.positions[lane] ?? '') ? to : (this.positions[lane] ?? '');
    const values = [String(lane), quoteLiteral(position), String(this.count)];
    return {
      text: `INSERT INTO syncline.lane (job, target, lane, position, lanes, keys_as)
        SELECT job, target, ${values.join(', ')}, ${keysAs === null ? 'NULL' : quoteLiteral(keysAs)} FROM syncline.link
         WHERE ${whereLink(state.ref)} AND position = ${quoteLiteral(state.position)} AND generation = ${String(state.generation)}
        ON CONFLICT (job, target, lane) DO UPDATE SET position = excluded.position, lanes = excluded.lanes,
          keys_as = coalesce(excluded.keys_as, lane.keys_as)`,
    };
  }

  committed(lane: number, { to, keysAs }: LaneMove): void {
    this.keysAs = keysAs ?? this.keysAs;
    if (to > (this.positions[lane] ?? '')) this.positions[lane] = to;
  }
}

/** For the first transaction of the next writer, too. */
export function soloStep(state: LinkState, solo: boolean): Step {
  const { job, target } = state.ref;
  const values = [quoteLiteral(job), quoteLiteral(target), '0', `''`, '0', String(solo)];
  return {
    text: `INSERT INTO syncline.lane (job, target, lane, position, lanes, solo) VALUES (${values.join(', ')})
      ON CONFLICT (job, target, lane) DO UPDATE SET solo = excluded.solo`,
  };
}

export interface LaneMove {
  readonly to: LogPosition;
  /** How the keys of the transaction came: `b`, `t`; null: there were none. */
  readonly keysAs: string | null;
}

export function keysOf(segments: readonly Segment[]): string | null {
  for (const segment of segments) {
    if (segment.kind !== 'keyed') continue;
    const { route, kinds } = segment.fold;
    if (!route.keyIsExact) continue;
    return kinds[route.key?.indexOf(1) ?? 0] === kindBinary ? 'b' : 't';
  }
  return null;
}

interface LaneRow {
  readonly lane: number;
  readonly position: LogPosition;
  readonly lanes: number;
  readonly keys_as: string | null;
  readonly solo: boolean;
}

function rowOf(rows: readonly LaneRow[], lane: number): LaneRow | undefined {
  return rows.find((row) => row.lane === lane);
}
