import { setTimeout as delay } from 'node:timers/promises';
import type { FaultPoint, FaultPoints } from '../activities/dependencies.ts';
import { SynclineError } from '../definitions/errors.ts';

/** Faults that a test asks for: `SYNCLINE_FAULT=<point>:<kill|error|hang>[:n]`, several with commas. */

type FaultAction = 'kill' | 'error' | 'hang';

interface PlannedFault {
  readonly point: FaultPoint;
  readonly action: FaultAction;
  /** Acts when the point is reached for the n-th time in this process. */
  readonly nth: number;
}

const knownPoints: Readonly<Record<FaultPoint, true>> = {
  'load.mid': true,
  'load.copied': true,
  'swap.beforeCommit': true,
  'swap.afterCommit': true,
  'backup.mid': true,
  'backup.beforeManifest': true,
  'cut.beforeNote': true,
  'transfer.mid': true,
  'batch.beforeCommit': true,
  'batch.afterCommit': true,
  'confirm.before': true,
};
const actions: readonly FaultAction[] = ['kill', 'error', 'hang'];

export const noFaults: FaultPoints = { reach: () => Promise.resolve() };

/** Throws `definition.invalid` that names the known points: a misspelt fault would be a test of nothing. */
export function faultPoints(specification: string | undefined): FaultPoints {
  const planned = (specification ?? '')
    .split(',')
    .flatMap((text) => (text.trim() === '' ? [] : [read(text.trim())]));
  if (planned.length === 0) return noFaults;
  const reached = new Map<FaultPoint, number>();
  return {
    async reach(point, signal) {
      const count = (reached.get(point) ?? 0) + 1;
      reached.set(point, count);
      const fault = planned.find((one) => one.point === point && one.nth === count);
      if (fault !== undefined) await act(fault, signal);
    },
  };
}

function read(text: string): PlannedFault {
  const [point = '', action = '', nth = '1', ...rest] = text.split(':');
  const knownAction = actions.find((one) => one === action);
  if (isPoint(point) && knownAction !== undefined && /^[1-9]\d*$/.test(nth) && rest.length === 0) {
    return { point, action: knownAction, nth: Number(nth) };
  }
  throw new SynclineError(
    'definition.invalid',
    `SYNCLINE_FAULT: "${text}" is not <point>:<${actions.join('|')}>[:n]; points are ${Object.keys(knownPoints).join(', ')}.`,
  );
}

function isPoint(text: string): text is FaultPoint {
  return Object.hasOwn(knownPoints, text);
}

async function act({ point, action }: PlannedFault, signal: AbortSignal | undefined): Promise<void> {
  switch (action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      // The signal may arrive a moment later; nothing must happen after this point.
      return await forever(undefined);
    case 'error':
      throw new SynclineError('fault.injected', `Fault injected at ${point}.`);
    case 'hang':
      return await forever(signal);
  }
}

/** Rejects when the signal aborts. A timer keeps the process alive meanwhile. */
async function forever(signal: AbortSignal | undefined): Promise<never> {
  for (;;) await delay(60_000, undefined, signal === undefined ? {} : { signal });
}
