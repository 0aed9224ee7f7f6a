import { figureOf, type Figure } from '../figures.ts';
import { cpuSecondsBelow, usageOf } from '../process-usage.ts';
import type { Stage } from '../stage.ts';

/** Seconds of CPU by who spent them; NaN where /proc is missing or the server is not ours. */
export interface Cost {
  readonly source: number;
  readonly target: number;
  readonly worker: number;
}

/** Since each of them was started. */
export function costNow({ source, target }: Stage, worker: number): Cost {
  return {
    source: source.pid === null ? NaN : (cpuSecondsBelow(source.pid) ?? NaN),
    target: target.pid === null ? NaN : (cpuSecondsBelow(target.pid) ?? NaN),
    worker: usageOf(worker)?.cpuSeconds ?? NaN,
  };
}

export function costBetween(before: Cost, after: Cost): Cost {
  return {
    source: after.source - before.source,
    target: after.target - before.target,
    worker: after.worker - before.worker,
  };
}

export function costText({ source, target, worker }: Cost): string {
  const text = (seconds: number): string => (Number.isNaN(seconds) ? '?' : seconds.toFixed(2));
  return `CPU-s: source ${text(source)}, target ${text(target)}, worker ${text(worker)}`;
}

export function costFigures(costs: readonly Cost[]): Readonly<Record<keyof Cost | 'all', Figure | null>> {
  const figure = (pick: (cost: Cost) => number): Figure | null =>
    figureOf(costs.map(pick).filter((value) => !Number.isNaN(value)));
  return {
    source: figure(({ source }) => source),
    target: figure(({ target }) => target),
    worker: figure(({ worker }) => worker),
    all: figure((cost) => cost.source + cost.target + cost.worker),
  };
}
