import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

export type HttpFault =
  /** Answers itself, with an error as S3 writes it. */
  | { readonly status: number; readonly code: string }
  /** Breaks the connection after so many bytes of the request's or the answer's body. */
  | { readonly breakUpAfter: number }
  | { readonly breakDownAfter: number };

export interface FaultRule {
  /** Of `METHOD /path?query`. */
  readonly on: RegExp;
  readonly fault: HttpFault;
  /** How often; without it until heal(). */
  readonly times?: number;
}

/** An HTTP server between client and S3 whose failures a test decides. */
export interface HttpFaults {
  readonly endpoint: string;
  /** Requests that a rule has met. */
  readonly met: number;
  fail(rule: FaultRule): void;
  heal(): void;
  close(): Promise<void>;
}

export async function startHttpFaults(target: string): Promise<HttpFaults> {
  const proxy = new FaultyProxy(new URL(target));
  await proxy.listen();
  return proxy;
}

class FaultyProxy implements HttpFaults {
  endpoint = '';
  met = 0;
  private readonly target: URL;
  private readonly server: Server;
  private rule: FaultRule | null = null;
  private left = 0;

  constructor(target: URL) {
    this.target = target;
    this.server = createServer((incoming, answer) => this.serve(incoming, answer));
  }

  fail(rule: FaultRule): void {
    this.rule = rule;
    this.left = rule.times ?? Infinity;
    this.met = 0;
  }

  heal(): void {
    this.rule = null;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const address = this.server.address();
    this.endpoint = `http://127.0.0.1:${String(typeof address === 'object' ? (address?.port ?? 0) : 0)}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(incoming: IncomingMessage, answer: ServerResponse): void {
    const fault = this.faultFor(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
    if (fault !== null && 'status' in fault) {
      // The body is taken first, as a server does: the client may still be sending.
      incoming.resume().once('end', () => {
        const text = `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>as the test wants</Message></Error>`;
        answer.writeHead(fault.status, { 'content-type': 'application/xml' });
        answer.end(incoming.method === 'HEAD' ? undefined : text);
      });
      return;
    }
    this.pass(incoming, answer, fault);
  }

  private faultFor(line: string): HttpFault | null {
    if (this.rule === null || this.left <= 0 || !this.rule.on.test(line)) return null;
    this.left -= 1;
    this.met += 1;
    return this.rule.fault;
  }

  /** The headers go on as they came: the host among them is signed. */
  private pass(incoming: IncomingMessage, answer: ServerResponse, fault: HttpFault | null): void {
    const { method, url, headers } = incoming;
    const onward = request({
      host: this.target.hostname,
      port: this.target.port,
      method,
      path: url,
      headers,
      agent: false,
    });
    const breakOff = (): void => {
      onward.destroy();
      incoming.socket.destroy();
    };
    onward.on('error', breakOff);
    answer.on('close', () => onward.destroy());
    onward.on('response', (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      if (fault !== null && 'breakDownAfter' in fault) countOff(response, fault.breakDownAfter, breakOff);
      response.on('error', breakOff);
      response.pipe(answer);
    });
    if (fault !== null && 'breakUpAfter' in fault) countOff(incoming, fault.breakUpAfter, breakOff);
    incoming.pipe(onward);
  }
}

function countOff(message: IncomingMessage, bytes: number, then: () => void): void {
  let passed = 0;
  message.on('data', (piece: Buffer) => {
    passed += piece.length;
    if (passed >= bytes) then();
  });
}
