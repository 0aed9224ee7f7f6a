import { createServer, type RequestListener, type Server } from 'node:http';
import { SynclineError } from '../definitions/errors.ts';

export interface HttpEndpoint {
  /** With the port that was taken, if any was asked for. */
  readonly address: string;
  close(): Promise<void>;
}

export interface Listening {
  /** `host:port`; port 0 is any. */
  readonly address: string;
  /** `health`, for the error. */
  readonly what: string;
}

/** Errors: `definition.invalid` when the address cannot be listened on. */
export async function serveHttp(
  { address, what }: Listening,
  listener: RequestListener,
): Promise<HttpEndpoint> {
  const server = createServer(listener);
  const port = await listen(server, { address, what });
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

async function listen(server: Server, { address, what }: Listening): Promise<number> {
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  const host = hostOf(address).replaceAll(/^\[|\]$/g, '');
  await new Promise<void>((done, fail) => {
    server.once('error', (cause) =>
      fail(
        new SynclineError('definition.invalid', `The ${what} endpoint cannot listen on ${address}.`, {
          cause,
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
