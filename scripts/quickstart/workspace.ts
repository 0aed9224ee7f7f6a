import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startGuardian } from '../../worker/local/guardian.ts';
import { onlyTemporal, type ProcessEnvironment } from '../../worker/local/temporal-environment.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

/** A folder with what one quickstart writes. It goes away with us, also after kill -9. */
export interface Workspace {
  readonly folder: string;
  /** The example's syncline.yaml; its `${NAME}`s are in `env`. */
  readonly config: string;
  readonly workerLog: string;
  /** File to be sourced by a second terminal. */
  readonly envFile: string;
  /** The whole environment of the worker and the CLI. Holds passwords. */
  readonly env: ProcessEnvironment;
  remove(): Promise<void>;
}

export interface WorkspaceOptions {
  readonly temporalAddress: string;
  /** False: the server is the user's own, and so is the way to reach it. */
  readonly ownTemporal: boolean;
  /** Where its UI is; null when only the user knows. */
  readonly uiUrl: string | null;
  /** Variables that the stores of the example's syncline.yaml name; files may lie below the workspace's folder. */
  readonly stores: (folder: string) => Readonly<Record<string, string>>;
}

export async function makeWorkspace(options: WorkspaceOptions): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-quickstart-'));
  const guardian = startGuardian({ signal: 'TERM', directories: [folder] });
  const config = join(folder, 'syncline.yaml');
  const envFile = join(folder, 'env.sh');
  await copyFile(join(repository, 'examples', 'syncline.yaml'), config);
  const base = options.ownTemporal ? await onlyTemporal(options.temporalAddress, folder) : process.env;
  const ui = options.uiUrl === null ? {} : { TEMPORAL_UI_URL: options.uiUrl };
  const env = { ...base, ...ui, ...options.stores(folder) };
  await writeFile(envFile, shellLines(env), { mode: 0o600 });
  return {
    folder,
    config,
    envFile,
    workerLog: join(folder, 'worker.log'),
    env,
    remove: async () => {
      await rm(folder, { recursive: true, force: true });
      guardian.dismiss();
    },
  };
}

/** What differs from our own environment, in words that every shell understands. */
function shellLines(env: ProcessEnvironment): string {
  const gone = Object.keys(process.env).filter((name) => env[name] === undefined);
  const set = Object.entries(env).filter(
    ([name, value]) => value !== undefined && process.env[name] !== value,
  );
  const lines = [
    ...gone.map((name) => `unset ${name}`),
    ...set.map(([name, value]) => `export ${name}='${value ?? ''}'`),
  ];
  return `${lines.join('\n')}\n`;
}
