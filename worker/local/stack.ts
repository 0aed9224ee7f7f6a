import { type PostgresOptions, type PostgresServer, startPostgres } from './postgres.ts';
import { startTemporal, type TemporalOptions, type TemporalServer } from './temporal.ts';

export interface StackOptions<Name extends string> {
  readonly temporal?: Omit<TemporalOptions, 'onProgress'>;
  /** PostgreSQL servers by the name they are wanted under. */
  readonly postgres: Readonly<Record<Name, PostgresOptions>>;
  /** Whole sentences about what is being waited for. */
  readonly onProgress?: (line: string) => void;
}

export interface LocalStack<Name extends string> {
  readonly temporal: TemporalServer;
  readonly postgres: Readonly<Record<Name, PostgresServer>>;
  /** Ends all of it; a temporary server's data are removed. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Everything a job needs on this machine: a Temporal server and as many PostgreSQL servers as wanted, started side
 * by side. All or nothing: if one does not start, the others are stopped and its error is thrown.
 */
export async function startStack<Name extends string>(
  options: StackOptions<Name>,
): Promise<LocalStack<Name>> {
  const say = options.onProgress ?? (() => undefined);
  const wanted = Object.entries<PostgresOptions>(options.postgres);
  const temporalStart = startTemporal({ ...options.temporal, onProgress: say });
  const postgresStarts = wanted.map(([, one]) => startPostgres(one));
  const [temporal, ...servers] = await Promise.allSettled([temporalStart, ...postgresStarts] as const);
  const started = [temporal, ...servers].flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop()));
  };
  const failed = [temporal, ...servers].find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const postgres = Object.fromEntries(
    await Promise.all(postgresStarts.map(async (start, index) => [wanted[index]?.[0], await start] as const)),
  ) as Record<Name, PostgresServer>;
  return { temporal: await temporalStart, postgres, stop };
}
