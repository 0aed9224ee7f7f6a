import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Says what did not happen. */
  readonly waitingFor?: string;
  /** Only a net under a test that would hang; nothing is measured with it. Default 3 minutes. */
  readonly withinMs?: number;
  readonly everyMs?: number;
}

/**
 * Asks again until the answer is neither false, null nor undefined and no assertion in it throws, and returns it.
 * The last failure is the one that is thrown.
 */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = Date.now() + (options.withinMs ?? 180_000);
  let failure: unknown = null;
  do {
    try {
      const answer = await ask();
      if (answer !== false && answer !== null && answer !== undefined) {
        return answer as Exclude<T, false | null | undefined>;
      }
      failure = null;
    } catch (error) {
      failure = error;
    }
    await delay(options.everyMs ?? 50);
  } while (Date.now() < deadline);
  if (failure !== null) throw failure as Error;
  throw new Error(`This did not happen: ${options.waitingFor ?? ask.toString()}`);
}
