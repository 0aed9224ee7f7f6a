import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { closeSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { searchAttributeTypes } from '../../definitions/contracts/names.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { findFreePort, isFreePort } from './free-port.ts';
import { type Guardian, startGuardian } from './guardian.ts';
import { findTemporalExecutable, type OnProgress } from './temporal-executable.ts';

export interface TemporalOptions {
  /** State that survives the server. Absent: in memory. */
  readonly dbFilename?: string;
  /** Web UI: its port, or true for a free one, 1000 above the server's if possible. Default none. */
  readonly ui?: boolean | number;
  /** Absent: a free one; with a UI rather Temporal's usual 7233, where every client looks first. */
  readonly port?: number;
  readonly extraArgs?: readonly string[];
  /** True: start one even if TEMPORAL_ADDRESS names a running server. */
  readonly alwaysOwn?: boolean;
  readonly onProgress?: OnProgress;
}

/** A Temporal server with namespace `default` and our search attributes. */
export interface TemporalServer {
  readonly address: string;
  /** Null without UI, and for a server that is not ours. */
  readonly uiUrl: string | null;
  /** 0 for a server that is not ours, which stop() and kill() leave alone. */
  readonly pid: number;
  stop(): Promise<void>;
  /** kill -9; with `dbFilename` a new start continues where this one was. */
  kill(): Promise<void>;
}

const startDeadlineMs = 3 * 60_000;

/**
 * Resolves when the namespace answers: the server that TEMPORAL_ADDRESS names, or one of our own that ends with
 * this process, however this process ends. Errors: `temporal.unreachable`.
 */
export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const running = process.env['TEMPORAL_ADDRESS'];
  if (running !== undefined && running !== '' && options.alwaysOwn !== true) return await useRunning(running);
  const executable = await findTemporalExecutable(options.onProgress ?? (() => undefined));
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOwn(executable, options);
    } catch (error) {
      // Between finding a free port and binding it somebody else may take it.
      if (options.port !== undefined || attempt === 3) throw error;
    }
  }
}

async function useRunning(address: string): Promise<TemporalServer> {
  if (!(await answers(address))) {
    throw new SynclineError(
      'temporal.unreachable',
      `TEMPORAL_ADDRESS names ${address}, where no Temporal server with namespace "default" answers.`,
    );
  }
  const nothing = (): Promise<void> => Promise.resolve();
  return { address, uiUrl: null, pid: 0, stop: nothing, kill: nothing };
}

async function startOwn(executable: string, options: TemporalOptions): Promise<TemporalServer> {
  const { port, uiPort } = await choosePorts(options);
  const folder = await mkdtemp(join(tmpdir(), 'syncline-temporal-run-'));
  const guardian = startGuardian({ signal: 'TERM', directories: [folder] });
  const logFile = join(folder, 'server.log');
  const log = openSync(logFile, 'a');
  const child = spawn(executable, serverArguments(options, { port, uiPort }), {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: folder,
  });
  closeSync(log);
  if (child.pid !== undefined) guardian.watch(child.pid);
  child.on('error', () => undefined);
  child.unref();
  const server = new OwnTemporal({ child, guardian, folder, port, uiPort });
  try {
    await waitUntilReady(server);
    return server;
  } catch (error) {
    const said = await readFile(logFile, 'utf8').catch(() => '');
    await server.kill();
    throw new SynclineError(
      'temporal.unreachable',
      `The local Temporal server did not start: ${said.slice(-500)}`,
      {
        cause: error,
      },
    );
  }
}

interface Ports {
  readonly port: number;
  readonly uiPort: number | undefined;
}

const usualPort = 7233;
const uiOffset = 1000;

async function choosePorts({ port, ui }: TemporalOptions): Promise<Ports> {
  if (ui === undefined || ui === false) return { port: port ?? (await findFreePort()), uiPort: undefined };
  if (ui !== true) return { port: port ?? (await findFreePort()), uiPort: ui };
  const candidates = port === undefined ? [usualPort, await findFreePort(), await findFreePort()] : [port];
  for (const candidate of candidates) {
    const free = port !== undefined || (await isFreePort(candidate));
    if (free && (await isFreePort(candidate + uiOffset)))
      return { port: candidate, uiPort: candidate + uiOffset };
  }
  return { port: port ?? (await findFreePort()), uiPort: await findFreePort() };
}

interface OwnParts extends Ports {
  readonly child: ChildProcess;
  readonly guardian: Guardian;
  readonly folder: string;
}

class OwnTemporal implements TemporalServer {
  readonly address: string;
  readonly uiUrl: string | null;
  readonly pid: number;
  private readonly parts: OwnParts;

  constructor(parts: OwnParts) {
    this.parts = parts;
    this.address = `127.0.0.1:${parts.port}`;
    this.uiUrl = parts.uiPort === undefined ? null : `http://127.0.0.1:${parts.uiPort}`;
    this.pid = parts.child.pid ?? 0;
  }

  get ended(): boolean {
    const { child } = this.parts;
    return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  }

  stop(): Promise<void> {
    return this.end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { child, guardian, folder } = this.parts;
    if (!this.ended) {
      const exited = new Promise<void>((done) => child.once('exit', () => done()));
      child.ref();
      child.kill(signal);
      // Open long polls can hold an orderly end back; nothing of a development server is worth waiting for.
      const impatience = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(impatience);
    }
    guardian.forget();
    await rm(folder, { recursive: true, force: true });
    guardian.dismiss();
  }
}

/** A development server is one process on one disk: limits made for shared clusters only slow it down. */
const dynamicConfig: Readonly<Record<string, string>> = {
  'frontend.enableServerVersionCheck': 'false',
  'frontend.rps': '20000',
  'frontend.namespaceRPS': '20000',
  'frontend.namespaceRPS.visibility': '1000',
  'history.rps': '20000',
  'matching.rps': '20000',
};

function serverArguments(options: TemporalOptions, { port, uiPort }: Ports): string[] {
  const attributes = Object.entries(searchAttributeTypes).map(
    ([name, type]) => `${name}=${attributeTypes[type]}`,
  );
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'error'],
    ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)]),
    ...(options.dbFilename === undefined ? [] : ['--db-filename', resolve(options.dbFilename)]),
    ...attributes.flatMap((attribute) => ['--search-attribute', attribute]),
    ...Object.entries(dynamicConfig).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
    ...(options.extraArgs ?? []),
  ];
}

/** The server's own words for the types, as its command line wants them. */
const attributeTypes = { KEYWORD: 'Keyword', BOOL: 'Bool' } as const;

async function waitUntilReady(server: OwnTemporal): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  while (!(await answers(server.address))) {
    if (server.ended) throw new SynclineError('temporal.unreachable', 'It ended at once.');
    if (Date.now() > deadline)
      throw new SynclineError('temporal.unreachable', 'It did not answer within 60 s.');
    await delay(50);
  }
}

async function answers(address: string): Promise<boolean> {
  let connection: Connection | null = null;
  try {
    connection = await Connection.connect({ address, connectTimeout: 2_000 });
    await connection.workflowService.describeNamespace({ namespace: 'default' });
    return true;
  } catch {
    return false;
  } finally {
    await connection?.close();
  }
}
