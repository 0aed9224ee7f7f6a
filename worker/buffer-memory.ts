import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { PassingMemory } from '../activities/dependencies.ts';

/**
 * Keeps the memory of a worker near what it needs while rows pass.
 *
 * Rows pass as buffers outside V8's heap. V8 sees only their small handles, so it would let tens of megabytes of dead
 * buffers pile up before it collects. A collection of the young generation takes about a millisecond; one for every
 * `collectEveryBytes` costs nothing measurable. `--optimize-for-size` is on only while the process starts, when most of
 * what stays is allocated: left on, it doubled the CPU seconds per gigabyte (4.8 instead of 2.2).
 */
const collectEveryBytes = 8 * 1024 * 1024;
/**
 * What waited in a queue is old before it is dead, and only a collection of everything finds it. V8 would let the old
 * generation grow to several times what lives in it first, for a link to 300 MB where 40 MB live. Per cent: more than these
 * it may not grow. A link at work is held shorter (515 MB became 278): where rows only pass, that costs a fifth of the CPU and
 * gains little.
 */
const growing = { passing: 60, holding: 30 };
/** When the start-up is over: what loading the SDK and the workflows left behind goes at once. */
const settledAfterMs = 2_000;

type Collect = (options?: { readonly type: 'minor' | 'major' }) => void;

/** Once per process, before much is allocated. */
export function keepBufferMemorySmall(): PassingMemory {
  setFlagsFromString('--max-semi-space-size=2');
  setFlagsFromString('--optimize-for-size');
  grow(growing.passing);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setTimeout(() => {
    setFlagsFromString('--no-optimize-for-size');
    collect({ type: 'major' });
  }, settledAfterMs).unref();
  let holders = 0;
  const holds = (by: 1 | -1): void => {
    holders += by;
    grow(holders > 0 ? growing.holding : growing.passing);
  };
  return {
    passed: every(collectEveryBytes, () => collect({ type: 'minor' })),
    holdsChanges: () => {
      holds(1);
      return () => holds(-1);
    },
  };
}

/** V8 looks at it whenever it has collected. */
function grow(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${String(percent)}`);
}

/** Runs `work` once for every so many bytes. */
function every(limit: number, work: () => void): (bytes: number) => void {
  let since = 0;
  return (bytes) => {
    since += bytes;
    if (since < limit) return;
    since = 0;
    work();
  };
}
