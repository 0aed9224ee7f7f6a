import { type HttpEndpoint, serveHttp } from './listen.ts';

export interface WorkerHealth {
  /** `draining`: takes no new work; load balancers and probes see 503. */
  readonly status: 'running' | 'draining' | 'stopped';
  readonly taskQueue: string;
  readonly namespace: string;
  readonly activitiesInFlight: number;
  readonly stores: readonly string[];
}

/** GET /health: 200 while running, 503 otherwise; both with the same JSON. Errors: `definition.invalid` (address). */
export async function serveHealth(address: string, health: () => WorkerHealth): Promise<HttpEndpoint> {
  return await serveHttp({ address, what: 'health' }, (request, response) => {
    if (request.url?.split('?')[0] !== '/health') {
      response.writeHead(404).end();
      return;
    }
    const state = health();
    response.writeHead(state.status === 'running' ? 200 : 503, { 'content-type': 'application/json' });
    response.end(JSON.stringify(state));
  });
}
