import type { TestProject } from 'vitest/node';
import './provided.ts';
import { sharedServers } from './shared-servers.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = sharedServers();
  servers.enter();
  const [source, target, door] = await Promise.all([
    servers.postgresSource(),
    servers.postgresTarget(),
    servers.postgres15(),
  ]);
  project.provide('postgresSource', source);
  project.provide('postgresTarget', target);
  project.provide('postgres15', door);
  return () => servers.leave();
}
