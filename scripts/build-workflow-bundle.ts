import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type * as bundling from '../worker/workflow-bundle.ts';

/** Last step of `npm run build`: workflow code as one file, so that no worker of the package bundles at start. */
const dist = new URL('../dist/', import.meta.url);
const { buildWorkflowBundle } = (await import(
  new URL('worker/workflow-bundle.js', dist).href
)) as typeof bundling;
await buildWorkflowBundle(fileURLToPath(dist));
chmodSync(new URL('cli/main.js', dist), 0o755);
