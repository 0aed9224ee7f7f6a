import { createServer } from 'node:net';
import { SynclineError } from '../../definitions/errors.ts';

/** A TCP port of 127.0.0.1 that was free a moment ago. Another process may take it: callers try again. */
export async function findFreePort(): Promise<number> {
  const port = await tryPort(0);
  if (port === null) throw new SynclineError('internal.unexpected', 'The system gave no free port.');
  return port;
}

export async function isFreePort(port: number): Promise<boolean> {
  return port <= 65_535 && (await tryPort(port)) !== null;
}

async function tryPort(wanted: number): Promise<number | null> {
  return await new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(null));
    probe.listen(wanted, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(address !== null && typeof address === 'object' ? address.port : null));
    });
  });
}
