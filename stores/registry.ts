import type { StoreModule } from './spi/store.ts';

/** The one list of store kinds. Adding a store = one folder, one line here, one call of the conformance suite. */
export const storeModules: Readonly<Record<string, () => Promise<StoreModule<never>>>> = {
  postgres: async () =>
    (await import('./postgres/module.ts')).postgresModule as unknown as StoreModule<never>,
  directory: async () =>
    (await import('./directory/module.ts')).directoryModule as unknown as StoreModule<never>,
  s3: async () => (await import('./s3/module.ts')).s3Module as unknown as StoreModule<never>,
  sftp: async () => (await import('./sftp/module.ts')).sftpModule as unknown as StoreModule<never>,
};
