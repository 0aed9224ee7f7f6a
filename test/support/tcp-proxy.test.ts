import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

describe('the network of the tests', () => {
  let echo: Server;
  let proxy: TcpProxy;
  let client: Socket;
  let received: string;

  beforeEach(async () => {
    echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const { port } = echo.address() as { port: number };
    proxy = await startTcpProxy({ host: '127.0.0.1', port });
    received = '';
    client = await open();
  });

  afterEach(async () => {
    client.destroy();
    await proxy.close();
    echo.close();
  });

  async function open(): Promise<Socket> {
    const socket = connect(proxy.port, '127.0.0.1');
    socket.on('data', (data) => (received += data.toString()));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }

  it('carries bytes both ways and counts them', async () => {
    client.write('hello');
    await eventually(() => received === 'hello');
    expect([proxy.bytesUp, proxy.bytesDown]).toEqual([5, 5]);
  });

  it('holds everything back while paused, and loses nothing of it', async () => {
    client.write('a');
    await eventually(() => received === 'a');
    proxy.pause();
    client.write('b');
    const later = await open();
    later.write('c');
    expect(proxy.bytesUp).toBe(1);
    proxy.heal();
    await eventually(() => received === 'abc' || received === 'acb');
    later.destroy();
  });

  it('ends connections when cut, and refuses new ones until healed', async () => {
    const closed = new Promise((resolve) => client.once('close', resolve));
    proxy.cut();
    await closed;
    const refused = connect(proxy.port, '127.0.0.1').on('error', () => undefined);
    await new Promise((resolve) => refused.once('close', resolve));
    await eventually(() => proxy.connections === 0);
    proxy.heal();
    client = await open();
    client.write('again');
    await eventually(() => received !== '');
    expect(received).toBe('again');
  });

  it('resets a connection after so many bytes', async () => {
    const failure = once(client, 'error') as Promise<[NodeJS.ErrnoException]>;
    proxy.resetAfter(10, 'up');
    client.write('12345');
    await eventually(() => received === '12345');
    client.write('67890x');
    expect((await failure)[0].code).toBe('ECONNRESET');
    expect(received).toBe('12345');
  });

  it('breaks off in the middle of what is sent, and lets new connections through', async () => {
    const closed = once(client, 'close');
    proxy.breakOff(7, 'down');
    client.write('12345');
    await eventually(() => received === '12345');
    client.write('67890x');
    await closed;
    expect(received).toBe('1234567');
    client = await open();
    client.write('again');
    await eventually(() => received === '1234567again');
  });

  it('brings what is sent but no answer while it swallows answers', async () => {
    let arrived = '';
    echo.on('connection', (socket) => socket.on('data', (data) => (arrived += data.toString())));
    client.destroy();
    client = await open();
    proxy.swallowAnswers();
    client.write('hello');
    await eventually(() => arrived === 'hello');
    proxy.reset();
    proxy.heal();
    client = await open();
    client.write('again');
    await eventually(() => received !== '');
    expect([arrived, received]).toEqual(['helloagain', 'again']);
  });
});
