import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { startGuardian } from '../../worker/local/guardian.ts';
import { startPostgres, type PostgresServer } from '../../worker/local/postgres.ts';
import { startTemporal, type TemporalServer } from '../../worker/local/temporal.ts';
import { buildInto } from './build.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The servers that all projects of one test run share. Each part starts when the first project asks for it.
 * TEST_PG_SOURCE, TEST_PG_TARGET and TEMPORAL_ADDRESS name running ones to use instead.
 */
export class SharedServers {
  private users = 0;
  private readonly ends: (() => Promise<void>)[] = [];
  private readonly parts = new Map<string, Promise<string>>();

  enter(): void {
    this.users += 1;
  }

  /** The last one out ends the servers. */
  async leave(): Promise<void> {
    this.users -= 1;
    if (this.users > 0) return;
    this.parts.clear();
    for (const end of this.ends.splice(0).reverse()) await end();
  }

  postgresSource(): Promise<string> {
    return this.once('source', () => this.postgres('TEST_PG_SOURCE', 18));
  }

  postgresTarget(): Promise<string> {
    return this.once('target', () => this.postgres('TEST_PG_TARGET', 18));
  }

  temporal(): Promise<string> {
    return this.once('temporal', async () => {
      const server: TemporalServer = await startTemporal({ onProgress: say });
      this.ends.push(() => server.stop());
      return server.address;
    });
  }

  bundle(): Promise<string> {
    return this.once('bundle', async () => {
      const { code } = await bundleWorkflowCode({
        workflowsPath: join(repository, 'workflows', 'index.ts'),
        logger: quiet,
      });
      const folder = await mkdtemp(join(tmpdir(), 'syncline-bundle-'));
      const guardian = startGuardian({ signal: 'TERM', directories: [folder] });
      this.ends.push(async () => {
        await rm(folder, { recursive: true, force: true });
        guardian.dismiss();
      });
      await writeFile(join(folder, 'workflows.js'), code);
      return join(folder, 'workflows.js');
    });
  }

  /** The command line as it is built, for processes: its path. */
  command(): Promise<string> {
    return this.once('command', async () => {
      const place = join(repository, '.cache', 'test-build', String(process.pid));
      const guardian = startGuardian({ signal: 'TERM', directories: [place] });
      this.ends.push(async () => {
        await rm(place, { recursive: true, force: true });
        guardian.dismiss();
      });
      return await buildInto(place, await this.bundle());
    });
  }

  /** Few tests need the older server, so it waits until one asks. */
  postgres15(): Promise<string> {
    return this.once('15 door', async () => {
      const door = createServer((_request, response) => {
        this.once('15', () => this.postgres('TEST_PG_15', 15)).then(
          (url) => response.end(url),
          (error: unknown) => response.writeHead(500).end(String(error)),
        );
      });
      const url = await listen(door);
      this.ends.push(() => close(door));
      return url;
    });
  }

  private once(name: string, start: () => Promise<string>): Promise<string> {
    const known = this.parts.get(name);
    if (known !== undefined) return known;
    const started = start();
    this.parts.set(name, started);
    return started;
  }

  private async postgres(variable: string, version: 18 | 15): Promise<string> {
    const given = process.env[variable];
    if (given !== undefined && given !== '') return given;
    const server: PostgresServer = await startPostgres({ version });
    this.ends.push(() => server.stop('immediate'));
    return server.url;
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

const nothing = (): void => undefined;
const quiet = { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

async function listen(server: Server): Promise<string> {
  return await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      server.unref();
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}/`);
    });
  });
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

const key = Symbol.for('syncline.test.servers');

/** Vitest loads the setup files once per project, but in one process: the servers hang on that process. */
export function sharedServers(): SharedServers {
  const known = Reflect.get(globalThis, key) as SharedServers | undefined;
  const servers = known ?? new SharedServers();
  Reflect.set(globalThis, key, servers);
  return servers;
}
