import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoreSettings } from '../../support/worker-process.ts';
import type { Sshd } from '../../support/sshd.ts';
import type { S3Server } from '../../support/versitygw.ts';
import { openUploadsOf } from '../../stores/s3/s3-place.ts';
import { leftoversIn } from '../../stores/sftp/sftp-place.ts';

/** A store of files whose objects lie as files on this machine, so that a test can look behind it. */
export interface FilePlace {
  /** As workers know it, perhaps through a network that the test breaks. */
  readonly entry: StoreSettings;
  /** The same without faults. */
  readonly truth: StoreSettings;
  /** Directory of the objects; the file of a key is `root/key`. */
  readonly root: string;
  /** What unfinished writes left there. */
  leftovers(): Promise<string[]>;
  end(): Promise<void>;
}

/** 64 hex digits. */
export interface Sealed {
  readonly key?: string;
}

function encryptionOf({ key }: Sealed): StoreSettings {
  return key === undefined ? {} : { encryption: { key } };
}

/** `root`: a directory that is there and stays; without it a fresh one. */
export async function directoryPlace(options: Sealed & { readonly root?: string } = {}): Promise<FilePlace> {
  const folder = options.root ?? (await mkdtemp(join(tmpdir(), 'syncline-vault-')));
  const root = join(folder, 'objects');
  const entry = { kind: 'directory', path: root, ...encryptionOf(options) };
  return {
    entry,
    truth: entry,
    root,
    leftovers: () => leftoversIn(root),
    end: async () => {
      if (options.root === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface S3PlaceOptions extends Sealed {
  readonly prefix: string;
  /** Of something between the workers and the server. */
  readonly endpoint?: string;
}

export function s3FilePlace(server: S3Server, options: S3PlaceOptions): FilePlace {
  const { endpoint, bucket, accessKeyId, secretAccessKey } = server;
  const { prefix } = options;
  const truth = {
    ...{ kind: 's3', endpoint, bucket, accessKeyId, secretAccessKey, prefix: `${prefix}/` },
    ...encryptionOf(options),
  };
  return {
    truth,
    entry: { ...truth, endpoint: options.endpoint ?? endpoint },
    root: join(server.directory, prefix),
    leftovers: () => openUploadsOf(server, `${prefix}/`),
    end: () => Promise.resolve(),
  };
}

export interface SftpPlaceOptions extends Sealed {
  readonly rsync: boolean;
  /** Of something between the workers and the server. */
  readonly port?: number;
  /** Its directory on the server; default `objects`. */
  readonly folder?: string;
}

export function sftpFilePlace(
  sshd: Sshd,
  { rsync, port, folder = 'objects', ...sealed }: SftpPlaceOptions,
): FilePlace {
  const root = join(sshd.folder, folder);
  const truth = {
    ...{ kind: 'sftp', host: sshd.host, port: sshd.port, user: sshd.user, path: root, rsync },
    ...{ privateKeyFile: sshd.clientKey.file, hostKey: sshd.hostKey, connectTimeoutMs: 3_000 },
    ...encryptionOf(sealed),
  };
  return {
    truth,
    entry: { ...truth, port: port ?? sshd.port },
    root,
    leftovers: () => leftoversIn(root),
    end: () => Promise.resolve(),
  };
}
