import { createActivities } from '../../activities/index.ts';
import type { FaultPoints } from '../../activities/dependencies.ts';
import { postgresModule } from '../../stores/postgres/module.ts';
import type { Store } from '../../stores/spi/store.ts';
import { noMetrics } from '../../worker/metrics.ts';
import type { TestDatabase } from './postgres.ts';

/** The stores `source` and `target`, and every activity over them, without Temporal, log or metrics. */
export interface TwoStores {
  readonly stores: { readonly source: Store; readonly target: Store };
  readonly activities: ReturnType<typeof createActivities>;
  readonly close: () => Promise<void>;
}

export interface TwoDatabases {
  readonly source: Pick<TestDatabase, 'url'>;
  readonly target: Pick<TestDatabase, 'url'>;
}

export interface TwoStoresOptions {
  readonly connections: number;
  readonly fault?: FaultPoints['reach'];
}

const nothing = (): void => undefined;

export function openTwoStores(databases: TwoDatabases, { connections, fault }: TwoStoresOptions): TwoStores {
  const open = (name: 'source' | 'target'): Store =>
    postgresModule.open(name, {
      kind: 'postgres',
      url: databases[name].url,
      connections,
      connectTimeoutMs: 10_000,
    });
  const stores = { source: open('source'), target: open('target') };
  const close = async (): Promise<void> => {
    await Promise.all([stores.source.close(), stores.target.close()]);
  };
  const activities = createActivities({
    stores: {
      get: (name) => stores[name as keyof typeof stores],
      artifact: () => {
        throw new Error('No artifact here.');
      },
      names: () => Object.keys(stores),
      closeAll: close,
    },
    log: { info: nothing, warn: nothing },
    metrics: noMetrics,
    fault: { reach: fault ?? (() => Promise.resolve()) },
  });
  return { stores, activities, close };
}
