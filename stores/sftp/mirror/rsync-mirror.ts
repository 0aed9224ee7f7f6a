import { isAbsolute } from 'node:path';
import { expectSafeKey, type FileMirror, type MirrorFiles } from '../../spi/files.ts';
import { failure } from '../connection/errors.ts';
import type { Session } from '../connection/session.ts';
import type { Sessions } from '../connection/sessions.ts';
import { makeFolders, pruneFolders } from '../files/folders.ts';
import { newRsyncTempName, rootOf } from '../files/names.ts';
import type { SftpSettings } from '../settings.ts';
import { parseRsyncVersion, type Pushed, pushedIn, rsyncArguments, syncsFiles } from './rsync-command.ts';
import { rsyncError } from './rsync-errors.ts';
import { runProgram } from './run-program.ts';
import { setUpSsh, type SshSetup } from './ssh-setup.ts';

type Readiness = { readonly reason: string } | { readonly reason: null; readonly syncs: boolean };

/** Brings files by `rsync` over `ssh`, with the login of the store and the host key that its own connection verified. */
export class RsyncMirror implements FileMirror {
  private readonly sessions: Sessions;
  private readonly settings: SftpSettings;
  private readonly root: string;

  constructor(sessions: Sessions, settings: SftpSettings) {
    this.sessions = sessions;
    this.settings = settings;
    this.root = rootOf(settings.path);
  }

  async ready(): Promise<{ readonly reason: string | null }> {
    const { reason } = await this.readiness();
    return { reason };
  }

  async push(request: MirrorFiles): Promise<void> {
    await this.pushCounting(request);
  }

  /** The same, and tells what rsync says that it moved. */
  async pushCounting({ root, keys, throttleBytesPerSecond, signal }: MirrorFiles): Promise<Pushed> {
    for (const key of keys) expectSafeKey(key);
    signal.throwIfAborted();
    if (keys.length === 0) return { files: 0, bytes: 0 };
    const { store } = this.sessions;
    if (!isAbsolute(root)) throw new Error('The directory to bring files from must be absolute.');
    const readiness = await this.readiness(signal);
    if (readiness.reason !== null) throw failure('store.unsupported', store, { sentence: readiness.reason });
    return await this.sessions.use(
      'bringing files by rsync',
      async (session) => {
        const temporary = `${this.root}/${newRsyncTempName()}`;
        await makeFolders(session, temporary);
        const ssh = await setUpSsh({ store, settings: this.settings, hostKey: session.hostKey });
        try {
          const options = {
            from: root,
            to: this.root,
            temporary,
            throttleBytesPerSecond,
            sync: readiness.syncs,
          };
          return await this.run(ssh, { arguments: rsyncArguments(options), keys, signal });
        } finally {
          await ssh.dispose();
          // What is left in it after a loss is found by `sweep`.
          await pruneFolders(session, temporary, this.root).catch(() => undefined);
        }
      },
      signal,
    );
  }

  private async run(ssh: SshSetup, run: Run): Promise<Pushed> {
    const ended = await runProgram({
      command: 'rsync',
      arguments: run.arguments,
      folder: ssh.folder,
      environment: ssh.environment,
      input: run.keys.map((key) => `${key}\0`).join(''),
      signal: run.signal,
    });
    if (ended === null) throw failure('store.unsupported', this.sessions.store, { sentence: noRsyncHere });
    if (ended.code !== 0) throw rsyncError(this.sessions.store, ended);
    return pushedIn(ended.output);
  }

  private async readiness(signal?: AbortSignal): Promise<Readiness> {
    const { privateKey, privateKeyFile, agent } = this.settings;
    if (privateKey === undefined && privateKeyFile === undefined && agent === undefined) {
      return {
        reason: `Store ${this.sessions.store} has only a password, and rsync over ssh needs a private key or an agent.`,
      };
    }
    const environment = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' };
    const [here, ssh] = await Promise.all([
      runProgram({ command: 'rsync', arguments: ['--version'], environment }),
      runProgram({ command: 'ssh', arguments: ['-V'], environment }),
    ]);
    if (ssh === null) return { reason: 'There is no ssh on the machine of the worker.' };
    const versionHere = parseRsyncVersion(here?.output ?? '');
    if (versionHere === null) return { reason: noRsyncHere };
    const there = await this.sessions.use(
      'looking for rsync',
      (session: Session) => session.run('rsync --version', signal),
      signal,
    );
    const versionThere = parseRsyncVersion(there?.output ?? '');
    if (versionThere === null) {
      return {
        reason: `The server of store ${this.sessions.store} has no rsync, or lets the user run no command.`,
      };
    }
    return { reason: null, syncs: syncsFiles(versionHere) && syncsFiles(versionThere) };
  }
}

const noRsyncHere = 'There is no rsync on the machine of the worker.';

interface Run {
  readonly arguments: readonly string[];
  readonly keys: readonly string[];
  readonly signal: AbortSignal;
}
