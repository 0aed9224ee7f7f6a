import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { SynclineError } from '../definitions/errors.ts';
import type { TemporalSettings } from '../definitions/stores-file.ts';

/** Where Temporal is and how to get in: the variables and profiles of Temporal's own clients, nothing of ours. */
export interface TemporalTarget {
  readonly connectionOptions: NativeConnectionOptions;
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue: string;
}

export interface TemporalChoice {
  readonly temporal: TemporalSettings;
  /** `--profile`. */
  readonly profile?: string;
}

/**
 * A variable (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE) wins over syncline.yaml, and that over the profile.
 * Errors: `definition.invalid` for a profile that does not exist or cannot be read.
 */
export function temporalTarget({ temporal, profile = temporal.profile }: TemporalChoice): TemporalTarget {
  const { connectionOptions, namespace } = profileOptions(profile);
  const address =
    variable('TEMPORAL_ADDRESS') ?? temporal.address ?? connectionOptions.address ?? 'localhost:7233';
  return {
    connectionOptions: { ...connectionOptions, address },
    address,
    namespace: variable('TEMPORAL_NAMESPACE') ?? temporal.namespace ?? namespace ?? 'default',
    taskQueue: temporal.taskQueue,
  };
}

function profileOptions(profile: string | undefined): ReturnType<typeof loadClientConnectConfig> {
  try {
    return loadClientConnectConfig(profile === undefined ? {} : { profile });
  } catch (error) {
    const name = profile ?? variable('TEMPORAL_PROFILE') ?? 'default';
    throw new SynclineError(
      'definition.invalid',
      `Temporal profile "${name}" cannot be used: ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

function variable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

const connectTimeoutMs = 5_000;

/** An open connection; whoever opened it closes it. */
export interface TemporalAccess {
  readonly connection: Connection;
  readonly client: Client;
  readonly target: TemporalTarget;
}

/** Errors: `temporal.unreachable`, `temporal.refused` (credentials, namespace). */
export async function connectClient(target: TemporalTarget): Promise<TemporalAccess> {
  let connection: Connection;
  try {
    connection = await Connection.connect({ ...target.connectionOptions, connectTimeout: connectTimeoutMs });
  } catch (error) {
    throw unreachable(target, error);
  }
  try {
    await connection.withDeadline(Date.now() + connectTimeoutMs, () =>
      connection.workflowService.describeNamespace({ namespace: target.namespace }),
    );
  } catch (error) {
    await connection.close();
    throw refused(target, error);
  }
  return { connection, client: new Client({ connection, namespace: target.namespace }), target };
}

function unreachable(target: TemporalTarget, cause: unknown): SynclineError {
  return new SynclineError('temporal.unreachable', `No Temporal server answers at ${target.address}.`, {
    cause,
  });
}

const grpcUnavailable = 14;
const grpcDeadlineExceeded = 4;
const grpcNotFound = 5;

function refused(target: TemporalTarget, cause: unknown): SynclineError {
  const { code } = cause as { code?: number };
  if (code === grpcUnavailable || code === grpcDeadlineExceeded) return unreachable(target, cause);
  const message =
    code === grpcNotFound
      ? `Temporal at ${target.address} has no namespace "${target.namespace}".`
      : `Temporal at ${target.address} refuses namespace "${target.namespace}": ${reasonOf(cause)}`;
  return new SynclineError('temporal.refused', message, { cause });
}

function reasonOf(error: unknown): string {
  const { details, message } = error as { details?: string; message?: string };
  const text = details === undefined || details === '' ? (message ?? 'no reason given') : details;
  return text.split('\n')[0] ?? text;
}
