import { builtCommand } from './command.ts';
import { sharedServers } from './shared-servers.ts';

/** Before any test process is started: those inherit where it is. Code that does not compile fails only tests that run it. */
export default async function setup(): Promise<() => Promise<void>> {
  const servers = sharedServers();
  servers.enter();
  process.env[builtCommand] = await servers.command().catch(() => '');
  return () => servers.leave();
}
