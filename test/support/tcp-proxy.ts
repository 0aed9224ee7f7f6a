import { createServer, connect, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface TcpProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** A network whose failures a test decides. Each rule also holds for connections made later, until heal(). */
export interface TcpProxy {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Connections open right now. */
  readonly connections: number;
  /** Bytes passed on since the start, by direction. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** The same URL with the proxy's host and port. */
  rewrite(url: string): string;
  /** Silence: sockets stay open, nothing passes, new connections are accepted and hang. */
  pause(): void;
  /** Ends open connections with a FIN, and refuses new ones at once. */
  cut(): void;
  /** Ends open connections with an RST; new ones go through. */
  reset(): void;
  /** Every piece of data waits so long before it is passed on. */
  delay(ms: number): void;
  /** Resets all connections after so many more bytes, in the direction of the client (`down`) or the server (`up`). */
  resetAfter(bytes: number, direction: 'up' | 'down'): void;
  /** Like resetAfter, but connections end with a FIN, and not before the last of these bytes has arrived: in the middle of a message. */
  breakOff(bytes: number, direction: 'up' | 'down'): void;
  /** What clients send arrives, what servers answer does not. Broken for good: to be followed by reset() before heal(). */
  swallowAnswers(): void;
  /** All is well again: what was held back by pause() flows on. */
  heal(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(target: TcpProxyTarget): Promise<TcpProxy> {
  const proxy = new ControlledProxy(target);
  await proxy.listen();
  return proxy;
}

/** A proxy in front of the server that a database URL names. */
export async function startProxyFor(url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url);
  return await startTcpProxy({ host: hostname, port: Number(port) });
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

class ControlledProxy implements TcpProxy {
  readonly host = '127.0.0.1' as const;
  port = 0;
  bytesUp = 0;
  bytesDown = 0;
  private readonly target: TcpProxyTarget;
  private readonly listener: Server;
  private readonly pairs = new Set<Pair>();
  private paused = false;
  private refusing = false;
  private delayMs = 0;
  private limit: { direction: 'up' | 'down'; bytes: number; partly: boolean } | null = null;
  private swallowing = false;

  constructor(target: TcpProxyTarget) {
    this.target = target;
    this.listener = createServer((client) => this.accept(client));
  }

  get connections(): number {
    return this.pairs.size;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.listener.listen(0, '127.0.0.1', resolve));
    const address = this.listener.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy has no port.');
    this.port = address.port;
  }

  rewrite(url: string): string {
    const rewritten = new URL(url);
    rewritten.hostname = this.host;
    rewritten.port = String(this.port);
    return rewritten.href;
  }

  pause(): void {
    this.paused = true;
    for (const { client, server } of this.pairs) {
      client.pause();
      server.pause();
    }
  }

  cut(): void {
    this.refusing = true;
    this.endAll();
  }

  private endAll(): void {
    for (const { client, server } of this.pairs) {
      client.end();
      server.end();
      client.destroySoon();
      server.destroySoon();
    }
  }

  reset(): void {
    for (const { client, server } of this.pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  delay(ms: number): void {
    this.delayMs = ms;
  }

  resetAfter(bytes: number, direction: 'up' | 'down'): void {
    this.limit = { bytes, direction, partly: false };
  }

  breakOff(bytes: number, direction: 'up' | 'down'): void {
    this.limit = { bytes, direction, partly: true };
  }

  swallowAnswers(): void {
    this.swallowing = true;
  }

  heal(): void {
    this.paused = false;
    this.refusing = false;
    this.delayMs = 0;
    this.limit = null;
    this.swallowing = false;
    for (const { client, server } of this.pairs) {
      client.resume();
      server.resume();
    }
  }

  async close(): Promise<void> {
    this.refusing = true;
    this.reset();
    await new Promise((resolve) => this.listener.close(resolve));
  }

  private accept(client: Socket): void {
    if (this.refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.target);
    const pair: Pair = { client, server };
    this.pairs.add(pair);
    const gone = (): void => {
      this.pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', gone);
      socket.on('close', gone);
    }
    this.carry(client, server, 'up');
    this.carry(server, client, 'down');
  }

  /** Reading stops while a piece is under way, so a slow reader slows the writer down; pieces keep their order. */
  private carry(from: Socket, to: Socket, direction: 'up' | 'down'): void {
    let last = Promise.resolve();
    from.on('data', (data: Buffer) => {
      from.pause();
      last = last.then(() => this.forward(data, to, direction));
      void last.then(() => {
        if (!this.paused) from.resume();
      });
    });
    from.on('end', () => void last.then(() => to.end()));
    if (this.paused) from.pause();
  }

  private async forward(data: Buffer, to: Socket, direction: 'up' | 'down'): Promise<void> {
    if (this.delayMs > 0) await delay(this.delayMs);
    if (this.swallowing && direction === 'down') return;
    if (this.limit?.direction === direction) {
      this.limit.bytes -= data.length;
      if (this.limit.bytes < 0) {
        this.breakNow(data.subarray(0, this.limit.bytes), to);
        return;
      }
    }
    if (direction === 'up') this.bytesUp += data.length;
    else this.bytesDown += data.length;
    if (to.destroyed) return;
    if (!to.write(data)) await drained(to);
  }

  private breakNow(last: Buffer, to: Socket): void {
    const partly = this.limit?.partly === true;
    this.limit = null;
    if (!partly) {
      this.reset();
      return;
    }
    if (!to.destroyed) to.write(last);
    this.endAll();
  }
}

async function drained(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}
