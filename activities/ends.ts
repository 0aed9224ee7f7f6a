import type { LoadRef } from '../definitions/contracts/copy.ts';
import type { Store, StoreProvider } from '../stores/spi/store.ts';

/** Where the rows of a load come from: a store, or a backup in one. */
export function sourceOf(stores: StoreProvider, ref: LoadRef): Store {
  return ref.sourceArtifact === undefined
    ? stores.get(ref.sourceStore)
    : stores.artifact(ref.sourceStore, ref.sourceArtifact);
}

/** Where they go; plan, receipts and dead letters are there too. */
export function targetOf(stores: StoreProvider, ref: LoadRef): Store {
  return ref.targetArtifact === undefined
    ? stores.get(ref.targetStore)
    : stores.artifact(ref.targetStore, ref.targetArtifact);
}
