import type { Shape } from '../../test/e2e/lab/shape.ts';
import type { HttpFault } from '../../test/support/http-faults.ts';
import { Random } from './random.ts';

/** Everything that a seed decides about one run: what is copied, and what goes wrong when. */
export interface ChaosPlan {
  readonly seed: number;
  readonly shape: Shape;
  /** SYNCLINE_FAULT of the first worker; empty: none. */
  readonly firstWorkerFault: string;
  readonly faults: readonly PlannedFault[];
}

export type Server = 'source' | 'target' | 'temporal';

/** Each waits `afterMs` after the one before; the first, after the first unit is in the ledger. */
export type PlannedFault = { readonly afterMs: number } & (
  | { readonly kind: 'killWorker'; readonly nextWorkerFault: string }
  | { readonly kind: 'killServer'; readonly server: Server; readonly awayMs: number }
  | {
      readonly kind: 'breakNetwork';
      readonly server: Server;
      readonly how: 'cut' | 'reset' | 'pause';
      readonly forMs: number;
    }
);

/** What happens to servers of files; a run without such a server is not hurt by it. */
export type FileFault = { readonly afterMs: number } & (
  | {
      readonly kind: 'failS3';
      readonly method: 'PUT' | 'GET' | 'HEAD' | 'POST' | 'DELETE';
      readonly fault: HttpFault;
      readonly times: number;
    }
  | { readonly kind: 'killSshd'; readonly awayMs: number }
);

const points = ['load.mid', 'load.copied', 'swap.beforeCommit', 'swap.afterCommit'] as const;
const servers = ['source', 'target', 'temporal'] as const;

/** Bytes of a row besides its filler, as COPY sends it. */
const rowOverheadBytes = 50;
/** A run without faults would take about so long: faults meet it in the middle. */
const wantedSeconds = 4;

export function planOf(seed: number): ChaosPlan {
  const random = new Random(seed);
  const shape = shapeOf(random);
  const count = random.between(2, 4);
  const faults = Array.from({ length: count }, () => faultOf(random));
  return { seed, shape, firstWorkerFault: workerFault(random), faults };
}

function shapeOf(random: Random): Shape {
  const mode = random.pick<Shape['mode']>(['replace', 'replace', 'append', 'upsert']);
  const partitioned = random.next() < 0.8;
  const rowBytes = random.between(32, 300);
  const megabytes = random.between(2, 24);
  const rowsInAll = Math.floor((megabytes * 1_000_000) / (rowBytes + rowOverheadBytes));
  const rows = partitioned ? unevenParts(random, rowsInAll) : [rowsInAll];
  const keyless = mode === 'append' && random.next() < 0.5;
  const sliced = random.next() < 0.5 || !partitioned;
  return {
    mode,
    rows,
    partitioned,
    rowBytes,
    parallel: random.between(1, 4),
    verify: random.pick(['none', 'count', 'digest']),
    throttle: `${Math.max(200, Math.ceil((megabytes * 1_000) / wantedSeconds))}KB/s`,
    ...(keyless ? { keyless } : {}),
    ...(sliced ? { chunkBytes: `${random.between(200, 2_000)}KB` } : {}),
  };
}

export function unevenParts(random: Random, rows: number, most = 40): number[] {
  const weights = Array.from({ length: random.between(4, most) }, () => 0.1 + random.next());
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => Math.max(1, Math.floor((rows * weight) / sum)));
}

export type NamesFault = (random: Random) => string;

type FaultKind = PlannedFault['kind'];

export function faultOf(
  random: Random,
  ofWorker: NamesFault = workerFault,
  kinds: readonly [FaultKind, ...FaultKind[]] = ['killWorker', 'killWorker', 'killServer', 'breakNetwork'],
): PlannedFault {
  const afterMs = random.between(0, 1_500);
  const kind = random.pick<FaultKind>(kinds);
  switch (kind) {
    case 'killWorker':
      return { afterMs, kind, nextWorkerFault: ofWorker(random) };
    case 'killServer':
      return { afterMs, kind, server: random.pick(servers), awayMs: random.between(0, 1_500) };
    case 'breakNetwork':
      return {
        ...{ afterMs, kind, server: random.pick(servers) },
        how: random.pick(['cut', 'reset', 'pause'] as const),
        forMs: random.between(100, 2_500),
      };
  }
}

/** Every other worker carries a fault of its own. */
function workerFault(random: Random): string {
  if (random.next() < 0.5) return '';
  return `${random.pick(points)}:${random.pick(['kill', 'error'])}:${random.between(1, 4)}`;
}
