import { spawn, type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { eventually } from './eventually.ts';

const install = 'install it with: apt-get install openssh-server openssh-client rsync';

export interface SshdOptions {
  /** The separate program, which can be told to refuse requests: `['posix-rename', 'fsync']`. */
  readonly withoutRequests?: readonly string[];
  /** The user may use sftp and nothing else: no command, no rsync. */
  readonly onlySftp?: boolean;
  /** No file of the server may grow beyond it, as on a full disk. */
  readonly maxFileBytes?: number | null;
}

export interface ClientKey {
  /** The private key. */
  readonly file: string;
  readonly text: string;
  /** One line. */
  readonly publicKey: string;
}

/** A private OpenSSH server on the loopback, for whoever runs the tests, that only its own client key may enter. */
export interface Sshd {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly user: string;
  /** One line, `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  /** An RSA key that the server has too. */
  readonly rsaHostKey: string;
  readonly clientKey: ClientKey;
  /** A fresh directory, for files of the server and for whatever the test needs. */
  readonly folder: string;
  /** What it has said since it started, at the level VERBOSE. */
  log(): Promise<string>;
  /** Ends the server and every session at once, as a crash does. */
  kill(): Promise<void>;
  /** Again on the same port, with the same host keys or fresh ones. */
  start(keys?: 'same' | 'fresh'): Promise<void>;
  /** Kills it and removes its directory. */
  close(): Promise<void>;
}

/** Starts one; throws, with what to install, where OpenSSH is not there. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const server = new PrivateSshd(options);
  await server.prepare();
  try {
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

/** An Ed25519 key pair in the directory. */
export async function makeClientKey(folder: string, name: string, passphrase = ''): Promise<ClientKey> {
  const file = join(folder, name);
  execFileSync(program('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'test', '-f', file]);
  const publicKey = (await readFile(`${file}.pub`, 'utf8')).trim();
  return { file, text: await readFile(file, 'utf8'), publicKey };
}

/** An ssh-agent that holds the client's key. */
export async function startAgent(sshd: Sshd): Promise<{ readonly socket: string; end(): void }> {
  const socket = join(sshd.folder, 'agent');
  const child = spawn(program('ssh-agent'), ['-D', '-a', socket], { stdio: 'ignore' });
  await eventually(() => existsSync(socket));
  const env = { ...process.env, SSH_AUTH_SOCK: socket };
  execFileSync(program('ssh-add'), ['-q', sshd.clientKey.file], { env });
  return { socket, end: () => child.kill() };
}

/** The signal that comes with the limit is ignored, so that the server tells of an error instead of dying. */
const limited = 'trap "" XFSZ; ulimit -f "$1"; shift; exec "$@"';

class PrivateSshd implements Sshd {
  readonly host = '127.0.0.1' as const;
  readonly user = userInfo().username;
  port = 0;
  folder = '';
  hostKey = '';
  rsaHostKey = '';
  clientKey: ClientKey = { file: '', text: '', publicKey: '' };
  private readonly options: SshdOptions;
  private child: ChildProcess | null = null;

  constructor(options: SshdOptions) {
    this.options = options;
  }

  async prepare(): Promise<void> {
    program('rsync');
    program('ssh');
    this.folder = await mkdtemp(join(tmpdir(), 'syncline-sshd-'));
    this.clientKey = await makeClientKey(this.folder, 'client');
    await writeFile(join(this.folder, 'authorized_keys'), `${this.clientKey.publicKey}\n`, { mode: 0o600 });
    // Where sshd, as root, locks its unprivileged half in; packages make it when the service starts.
    if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
    this.port = await freePort();
    await this.makeHostKeys();
    await writeFile(join(this.folder, 'sshd_config'), this.config());
  }

  async start(keys: 'same' | 'fresh' = 'same'): Promise<void> {
    if (keys === 'fresh') await this.makeHostKeys();
    const arguments_ = ['-D', '-f', join(this.folder, 'sshd_config'), '-E', join(this.folder, 'log')];
    const limit = this.options.maxFileBytes ?? null;
    const child =
      limit === null
        ? spawn(program('sshd'), arguments_, { stdio: 'ignore' })
        : spawn('/bin/sh', ['-c', limited, 'sh', String(limit / 512), program('sshd'), ...arguments_], {
            stdio: 'ignore',
          });
    this.child = child;
    await eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(`sshd ended: ${await this.log()}`);
        return await listens(this.port);
      },
      { waitingFor: 'sshd to listen' },
    );
  }

  async log(): Promise<string> {
    return await readFile(join(this.folder, 'log'), 'utf8').catch(() => '');
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // First the one that would take new connections, then what it had started.
    const family = descendantsOf(child.pid);
    child.kill('SIGKILL');
    for (const pid of family) endQuietly(pid);
    await ended;
    this.child = null;
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  private async makeHostKeys(): Promise<void> {
    for (const [type, bits] of [
      ['ed25519', '256'],
      ['rsa', '2048'],
    ] as const) {
      const file = join(this.folder, `host_${type}`);
      await rm(file, { force: true });
      await rm(`${file}.pub`, { force: true });
      execFileSync(program('ssh-keygen'), ['-q', '-t', type, '-b', bits, '-N', '', '-C', '', '-f', file]);
      await chmod(file, 0o600);
      const line = (await readFile(`${file}.pub`, 'utf8')).trim();
      if (type === 'rsa') this.rsaHostKey = line;
      else this.hostKey = line;
    }
  }

  private config(): string {
    const { withoutRequests, onlySftp } = this.options;
    const subsystem =
      withoutRequests === undefined ? 'internal-sftp' : `${sftpServer()} -P ${withoutRequests.join(',')}`;
    return [
      `Port ${String(this.port)}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(this.folder, 'host_ed25519')}`,
      `HostKey ${join(this.folder, 'host_rsa')}`,
      `AuthorizedKeysFile ${join(this.folder, 'authorized_keys')}`,
      `PidFile ${join(this.folder, 'pid')}`,
      `Subsystem sftp ${subsystem}`,
      ...(onlySftp === true ? ['ForceCommand internal-sftp'] : []),
      // The directory is in /tmp, which belongs to everybody.
      'StrictModes no',
      'UsePAM no',
      // Or a bash would take itself for somebody's login and run their ~/.bashrc, which may wait for a lock for a minute.
      'SetEnv SHLVL=1',
      'PasswordAuthentication yes',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin yes',
      'PermitUserRC no',
      'PrintMotd no',
      'UseDNS no',
      'MaxStartups 100',
      'MaxSessions 20',
      'LogLevel VERBOSE',
      '',
    ].join('\n');
  }
}

function sftpServer(): string {
  const places = ['/usr/lib/openssh', '/usr/libexec/openssh', '/usr/lib/ssh', '/usr/libexec'];
  const found = places.map((place) => join(place, 'sftp-server')).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`There is no sftp-server; ${install}`);
  return found;
}

/** Its absolute path: sshd starts itself again by it. */
function program(name: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin'];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`There is no ${name}; ${install}`);
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('There is no free port.');
  return address.port;
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Sessions of sshd are process groups of their own, so they are found by their parents. */
function descendantsOf(pid: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const [child, parent] of parents()) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), child]);
  const found: number[] = [];
  for (let next = childrenOf.get(pid) ?? []; next.length > 0;) {
    found.push(...next);
    next = next.flatMap((child) => childrenOf.get(child) ?? []);
  }
  return found;
}

function parents(): [number, number][] {
  if (!existsSync('/proc/self/stat')) {
    const rows = execFileSync('ps', ['-Ao', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
    return rows.map((row) => {
      const [pid = '', parent = ''] = row.trim().split(/\s+/);
      return [Number(pid), Number(parent)];
    });
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): [number, number][] => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // The name of the program, in parentheses, may hold anything.
        const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
        return [[Number(name), Number(parent)]];
      } catch {
        return [];
      }
    });
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended with its parent.
  }
}
