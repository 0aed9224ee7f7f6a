import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { type ErrorCode, SynclineError } from '../definitions/errors.ts';
import type { StoreProvider } from '../stores/spi/store.ts';
import type { TemporalAccess } from './connection.ts';
import type { Asking } from './jobs/asking.ts';
import { findJob } from './jobs/job-address.ts';
import { readStatus } from './jobs/job-status.ts';
import { tablesOf } from './jobs/job-tables.ts';
import { ledgerOf } from './jobs/ledger.ts';
import { listJobs } from './jobs/list-jobs.ts';
import { type HttpEndpoint, serveHttp } from './listen.ts';
import { errorFields } from './logging.ts';
import type { Redaction } from './redaction.ts';

export interface JobsEndpoint {
  readonly address: string;
  readonly access: TemporalAccess;
  readonly stores: StoreProvider;
  readonly log: Logger;
  readonly redaction: Redaction;
}

/**
 * What `list` and `status` show, over HTTP: `GET /jobs`, `/jobs/:name`, `/jobs/:name/tables`. Read only. A name that kinds
 * share is written with its kind, `copy%2Ftrades`. Errors: `definition.invalid` (address).
 */
export async function serveJobs(endpoint: JobsEndpoint): Promise<HttpEndpoint> {
  return await serveHttp({ address: endpoint.address, what: 'HTTP' }, (request, response) => {
    void answer(endpoint, request, response);
  });
}

async function answer(
  endpoint: JobsEndpoint,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  const { status, body } = await contentOf(endpoint, request.url ?? '/');
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  response.writeHead(status, headers).end(endpoint.redaction.apply(JSON.stringify(body)));
}

interface Content {
  readonly status: number;
  readonly body: unknown;
}

async function contentOf(endpoint: JobsEndpoint, url: string): Promise<Content> {
  try {
    const path = partsOf(url);
    const body = path === null ? undefined : await find(endpoint, path);
    if (body !== undefined) return { status: 200, body };
    return { status: 404, body: errorBody('job.notFound', 'There is nothing at this address.') };
  } catch (error) {
    if (error instanceof SynclineError)
      return { status: statusOf(error.code), body: errorBody(error.code, error.message, error.cure) };
    endpoint.log.error({ error: errorFields(error) }, 'unexpected error while jobs were asked for');
    return { status: 500, body: errorBody('internal.unexpected', "Its place is in the worker's log.") };
  }
}

/** Null when it is no path at all. */
function partsOf(url: string): readonly string[] | null {
  try {
    const [path = ''] = url.split('?');
    return path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return null;
  }
}

const listedJobs = 1_000;

/** Undefined: nothing is there. */
async function find(endpoint: JobsEndpoint, path: readonly string[]): Promise<unknown> {
  const [root, name = '', part, ...more] = path;
  if (root !== 'jobs' || more.length > 0) return undefined;
  const { access, log } = endpoint;
  if (name === '') return part === undefined ? await listJobs(access, listedJobs) : undefined;
  const asking: Asking = {
    access,
    stores: () => Promise.resolve(endpoint.stores),
    note: (text) => log.info({ job: name }, text),
  };
  if (part !== undefined && part !== 'tables') return undefined;
  const address = await findJob(access, name);
  return part === 'tables'
    ? await tablesOf(asking, address)
    : await readStatus(access, address, () => ledgerOf(asking, address));
}

function statusOf(code: ErrorCode): number {
  if (code === 'job.notFound') return 404;
  if (code === 'definition.invalid') return 400;
  return code.startsWith('temporal.') || code.startsWith('store.') ? 503 : 500;
}

/** As the command line prints it with `-o json`. */
function errorBody(code: ErrorCode, message: string, cure: string | null = null): unknown {
  return { error: { code, message, cure } };
}
