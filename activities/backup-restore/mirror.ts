import type { LoadUnitsInput } from '../../definitions/contracts/copy.ts';
import type { StoredObject } from '../../stores/spi/artifact.ts';
import type { StoreProvider } from '../../stores/spi/store.ts';

interface Mirroring {
  readonly input: LoadUnitsInput;
  readonly objects: readonly StoredObject[];
  readonly signal: AbortSignal;
}

/**
 * Where the near store is a directory of this machine and the far one knows a tool for that, the tool brings the files
 * first. Each is verified at the far end all the same, and comes by stream if it is not there or not right.
 */
export async function mirrorObjects(
  stores: StoreProvider,
  { input, objects, signal }: Mirroring,
): Promise<void> {
  const { ref, throttleBytesPerSecond } = input;
  const path = ref.sourceArtifact?.path;
  const { localRoot } = stores.get(ref.sourceStore).capabilities;
  const { fileMirror } = stores.get(ref.targetStore).capabilities;
  // A mirror keeps names as they are.
  if (localRoot === undefined || fileMirror === undefined || path !== ref.targetArtifact?.path) return;
  if ((await fileMirror.ready()).reason !== null) return;
  await fileMirror.push({
    root: localRoot.root,
    keys: objects.map((object) => `${path ?? ''}/${object.key}`),
    ...(throttleBytesPerSecond === undefined ? {} : { throttleBytesPerSecond }),
    signal,
  });
}
