import type { TestProject } from 'vitest/node';
import './provided.ts';
import { sharedServers } from './shared-servers.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = sharedServers();
  servers.enter();
  project.provide('temporalAddress', await servers.temporal());
  // Only tests that use the bundle fail when workflows do not compile.
  const bundle = await servers.bundle().then(
    (path) => ({ path, fault: '' }),
    (error: unknown) => ({ path: '', fault: String(error) }),
  );
  project.provide('workflowBundle', bundle.path);
  project.provide('workflowBundleFault', bundle.fault);
  return () => servers.leave();
}
