import type { BenchOptions } from './options.ts';
import type { Say, Stage } from './stage.ts';
export async function benchOnlineOffline(_o: BenchOptions, _s: Stage, _say: Say): Promise<object> {
  await Promise.resolve();
  return {};
}
