import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface OwnedServer {
  readonly pid: number;
  readonly dataDirectory: string | null;
}

export interface Owner {
  readonly server: OwnedServer;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
}

/** A process that started one server and now sits there. */
export async function startOwner(kind: 'postgres' | 'temporal'): Promise<Owner> {
  const script = fileURLToPath(new URL('owner-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, kind], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    server: JSON.parse(line.toString('utf8')) as OwnedServer,
    kill: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}
