import { createServer, type Server } from 'node:http';
import { SynclineError } from '../definitions/errors.ts';

export interface WorkerHealth {
  /** `draining`: takes no new work; load balancers and probes see 503. */
  readonly status: 'running' | 'draining' | 'stopped';
  readonly taskQueue: string;
  readonly namespace: string;
  readonly activitiesInFlight: number;
  readonly stores: readonly string[];
}

export interface HealthEndpoint {
  readonly address: string;
  close(): Promise<void>;
}

/** GET /health: 200 while running, 503 otherwise; both with the same JSON. Errors: `definition.invalid` (address). */
export async function serveHealth(address: string, health: () => WorkerHealth): Promise<HealthEndpoint> {
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/health') {
      response.writeHead(404).end();
      return;
    }
    const state = health();
    response.writeHead(state.status === 'running' ? 200 : 503, { 'content-type': 'application/json' });
    response.end(JSON.stringify(state));
  });
  const port = await listen(server, address);
  // Nothing else keeps a worker that has drained alive.
  server.unref();
  return {
    address: `${hostOf(address)}:${port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function listen(server: Server, address: string): Promise<number> {
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  const host = hostOf(address).replaceAll(/^\[|\]$/g, '');
  await new Promise<void>((done, fail) => {
    server.once('error', (error) =>
      fail(
        new SynclineError('definition.invalid', `The health endpoint cannot listen on ${address}.`, {
          cause: error,
        }),
      ),
    );
    server.listen({ port, host }, done);
  });
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : port;
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}
