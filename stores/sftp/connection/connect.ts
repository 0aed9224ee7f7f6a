import { connect as connectSocket, type Socket } from 'node:net';
import { Client, type SFTPWrapper } from 'ssh2';
import type { SynclineError } from '../../../definitions/errors.ts';
import type { SftpSettings } from '../settings.ts';
import { codeOf, loginOf, trustedKeysOf } from './credentials.ts';
import { failure } from './errors.ts';
import { fingerprintOf, hostKeyAlgorithms, judgeHostKey, type TrustedKeys, typeOfKey } from './host-keys.ts';

/** A logged-in connection with its SFTP channel. Whoever gets it listens to `close` and `error`. */
export interface Connected {
  readonly client: Client;
  readonly sftp: SFTPWrapper;
  /** What the server says it is: `OpenSSH_9.2p1 Debian-2`. */
  readonly software: string;
  /** The verified public key of the server, as on the wire. */
  readonly hostKey: Buffer;
}

/** Errors: `store.unreachable`, `store.hostKey`, `store.authentication`, `store.permission`, `store.unsupported`. */
export async function connect(store: string, settings: SftpSettings): Promise<Connected> {
  const [login, trusted] = await Promise.all([loginOf(store, settings), trustedKeysOf(store, settings)]);
  const attempt = new Attempt(store, settings, trusted);
  try {
    return await attempt.run(login);
  } catch (error) {
    attempt.abandon();
    throw error;
  }
}

class Attempt {
  private readonly store: string;
  private readonly settings: SftpSettings;
  private readonly trusted: TrustedKeys;
  private readonly client = new Client();
  private readonly socket: Socket;
  private hostKey: Buffer | null = null;
  private refusal: SynclineError | null = null;
  private software = '';
  private connected = false;

  constructor(store: string, settings: SftpSettings, trusted: TrustedKeys) {
    this.store = store;
    this.settings = settings;
    this.trusted = trusted;
    this.socket = connectSocket({ host: settings.host, port: settings.port, noDelay: true });
    this.socket.once('connect', () => (this.connected = true));
    // For the connection's whole life: an error that nobody listens for would end the worker.
    this.client.on('error', () => undefined);
  }

  async run(login: Parameters<Client['connect']>[0]): Promise<Connected> {
    await this.ready(login);
    const sftp = await this.openSftp();
    sftp.on('error', () => undefined);
    if (this.hostKey === null) throw this.refused('shows no key', 'unknown');
    return { client: this.client, sftp, software: this.software, hostKey: this.hostKey };
  }

  abandon(): void {
    this.client.end();
    this.socket.destroy();
  }

  private async ready(login: Parameters<Client['connect']>[0]): Promise<void> {
    const { connectTimeoutMs, keepAliveMs, password } = this.settings;
    await new Promise<void>((resolve, reject) => {
      this.client.once('ready', resolve);
      this.client.on('error', (error: Error & { level?: string }) => {
        // An agent that does not answer is one way to log in less; the next one is tried.
        if (error.level !== 'agent') reject(this.translate(error));
      });
      this.client.once('close', () => {
        reject(this.translate(new Error('closed')));
      });
      this.client.on('keyboard-interactive', (...asked) => {
        const [, , , prompts, finish] = asked;
        // A hidden question is the one for the password; anything else is a second factor that nobody can answer here.
        finish(prompts.map(({ echo }) => (echo === true ? '' : (password ?? ''))));
      });
      this.client.connect({
        ...login,
        sock: this.socket,
        readyTimeout: connectTimeoutMs,
        keepaliveInterval: keepAliveMs,
        keepaliveCountMax: 3,
        algorithms: { serverHostKey: hostKeyAlgorithms(this.trusted) },
        hostVerifier: (key: Buffer) => this.verify(key),
      });
      this.socket.once('data', (data: Buffer) => {
        this.software = /^SSH-[\d.]+-([\x20-\x7e]+)/m.exec(data.toString('latin1', 0, 1000))?.[1] ?? '';
      });
    });
  }

  private verify(key: Buffer): boolean {
    const judgement = judgeHostKey(key, this.trusted);
    if (judgement === 'trusted') {
      this.hostKey = Buffer.from(key);
      return true;
    }
    this.refusal = this.refused(`shows ${typeOfKey(key)} SHA256:${fingerprintOf(key)}`, judgement);
    return false;
  }

  private refused(shows: string, judgement: 'unknown' | 'changed' | 'revoked'): SynclineError {
    const why = {
      unknown: 'the host is not among the known ones',
      changed: 'the known keys of this host are others',
      revoked: 'this key is marked as revoked',
    }[judgement];
    return failure('store.hostKey', this.store, {
      sentence: `The host key of store ${this.store} is not trusted: the server ${shows}, and ${why}. Nothing was sent.`,
    });
  }

  private async openSftp(): Promise<SFTPWrapper> {
    return await new Promise((resolve, reject) => {
      this.client.once('close', () => {
        reject(this.translate(new Error('closed')));
      });
      this.client.sftp((error, sftp) => {
        if (error === undefined) resolve(sftp);
        else {
          reject(
            failure('store.permission', this.store, {
              sentence: `The server of store ${this.store} lets the user log in, but not use sftp.`,
              cause: error,
            }),
          );
        }
      });
    });
  }

  private translate(error: Error & { level?: string; code?: unknown }): SynclineError {
    if (this.refusal !== null) return this.refusal;
    const { store } = this;
    const say = (code: Parameters<typeof failure>[0], sentence: string): SynclineError =>
      failure(code, store, { sentence, cause: error });
    if (error.message.includes('no matching host key format')) {
      return say(
        'store.hostKey',
        `The server of store ${store} has no host key of a type that is known here.`,
      );
    }
    // 2 and 14: the server hangs up after too many tries, and when it knows no further method.
    const hungUp = this.hostKey !== null && (error.code === 2 || error.code === 14);
    if (error.level === 'client-authentication' || hungUp) {
      return say('store.authentication', `The server of store ${store} refused the login.`);
    }
    if (error.level === 'handshake') {
      return say(
        'store.unsupported',
        `The server of store ${store} and this one have no ssh method in common.`,
      );
    }
    const why = this.connected
      ? 'it ended the connection before the login, or did not answer in time'
      : codeOf(error);
    return say('store.unreachable', `The server of store ${store} cannot be reached (${why}).`);
  }
}
