import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Logger } from '@temporalio/worker';

/** Workflow code as one file. Bundling at start costs seconds and tens of MB, so it is done once per content. */

const root = join(import.meta.dirname, '..');
const runsFromSource = import.meta.filename.endsWith('.ts');
const bundledFolders = ['workflows', 'planning', 'definitions/contracts'];

export const bundleFile = 'workflow-bundle.js';

/** Path for `workflowBundle`. The package has it; in a checkout it is made when the sources changed. */
export async function workflowBundlePath(logger?: Logger): Promise<string> {
  const folder = runsFromSource ? join(root, '.cache', 'workflow-bundle', await sourceHash()) : root;
  const file = join(folder, bundleFile);
  if (existsSync(file) && readFileSync(`${file}.sdk`, 'utf8') === sdkVersion()) return file;
  await buildWorkflowBundle(folder, logger);
  return file;
}

export async function buildWorkflowBundle(folder: string, logger?: Logger): Promise<void> {
  // Loaded only here: webpack and swc would stay in memory.
  const { bundleWorkflowCode } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(root, 'workflows', runsFromSource ? 'index.ts' : 'index.js'),
    ...(logger === undefined ? {} : { logger }),
  });
  await mkdir(folder, { recursive: true });
  await writeWhole(join(folder, `${bundleFile}.sdk`), sdkVersion());
  await writeWhole(join(folder, bundleFile), code);
}

/** By a rename: several workers may start at once, and a kill leaves nothing half. */
async function writeWhole(file: string, text: string): Promise<void> {
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, text);
  await rename(draft, file);
}

/** A bundle holds the SDK's workflow side, which must be that of the worker's own SDK. */
function sdkVersion(): string {
  const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json') as {
    version: string;
  };
  return version;
}

async function sourceHash(): Promise<string> {
  const hash = createHash('sha256').update(sdkVersion());
  for (const folder of bundledFolders) {
    const names = await readdir(join(root, folder), { recursive: true });
    for (const name of names.filter((one) => one.endsWith('.ts')).sort()) {
      hash.update(`${folder}/${name}\n`).update(await readFile(join(root, folder, name)));
    }
  }
  return hash
    .update(await readFile(join(root, 'definitions', 'errors.ts')))
    .digest('hex')
    .slice(0, 16);
}
