import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type ProcessEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * The environment for a child process that must reach the local server and no other: the user's own TEMPORAL_*
 * variables and profiles, which may name a TLS certificate or an API key of another server, do not reach it.
 * A configuration file that sets nothing is written into `folder`.
 */
export async function onlyTemporal(address: string, folder: string): Promise<ProcessEnvironment> {
  const file = join(folder, 'temporal.toml');
  // With no profile in it at all, @temporalio/envconfig fails.
  await writeFile(file, '[profile.default]\n');
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_'));
  return { ...Object.fromEntries(others), TEMPORAL_ADDRESS: address, TEMPORAL_CONFIG_FILE: file };
}
