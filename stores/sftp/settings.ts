import { z } from 'zod';
import { encryptionSetting, taskQueueSetting } from '../spi/settings.ts';
import { parseHostKeys } from './connection/host-keys.ts';

const line = (what: string, pattern: RegExp): z.ZodString =>
  z.string().min(1).max(1000).regex(pattern, `is not ${what}`);

/** The entry of an SFTP store under `stores:` in syncline.yaml, after `${NAME}` was resolved. */
export const sftpSettings = z
  .strictObject({
    kind: z.literal('sftp'),
    host: line('a host name or an address', /^[A-Za-z0-9][A-Za-z0-9._-]*$|^[0-9A-Fa-f:.]+$/).describe(
      'Name or address of the server.',
    ),
    port: z.int().min(1).max(65_535).default(22).describe('Port of its ssh service.'),
    user: line('a user name', /^[A-Za-z0-9_][A-Za-z0-9_.@+$-]*$/).describe('User to log in as.'),
    path: line('an absolute path', /^\/(?!.*(^|\/)\.\.?(\/|$))[^\0\r\n]*$/).describe(
      'Absolute path of the directory on the server that holds all objects. It is made at the first write.',
    ),
    password: z
      .string()
      .min(1)
      .optional()
      .describe('Password of the user; use `${NAME}`. rsync needs a key instead.'),
    privateKey: z
      .string()
      .min(1)
      .optional()
      .describe('The private key itself, as text; use `${NAME}` or `${file:/path}`.'),
    privateKeyFile: z
      .string()
      .min(1)
      .optional()
      .describe('File with the private key, on the machine of the worker.'),
    passphrase: z.string().min(1).optional().describe('Passphrase of the private key; use `${NAME}`.'),
    agent: z.string().min(1).optional().describe('Socket of an ssh-agent, `${SSH_AUTH_SOCK}`.'),
    hostKey: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .refine((value) => parseHostKeys(value) !== null, {
        message: 'holds a line that is neither `ssh-ed25519 AAAA…` nor `SHA256:…`',
      })
      .optional()
      .describe(
        'The only host keys that are trusted: public keys (`ssh-ed25519 AAAA…`) or fingerprints (`SHA256:…`), a line each.',
      ),
    knownHosts: z
      .string()
      .min(1)
      .optional()
      .describe('File of trusted host keys, used when `hostKey` is not given. Default `~/.ssh/known_hosts`.'),
    connections: z
      .int()
      .min(1)
      .max(64)
      .default(2)
      .describe('Most ssh connections that one worker holds to this server at a time; transfers share them.'),
    connectTimeoutMs: z
      .int()
      .min(100)
      .default(10_000)
      .describe('How long connecting and logging in may take, in ms.'),
    keepAliveMs: z
      .int()
      .min(100)
      .default(10_000)
      .describe('How often a silent connection is asked whether it lives, in ms; three silences end it.'),
    rsync: z
      .boolean()
      .default(true)
      .describe('Whether rsync may bring objects here, where both machines have it.'),
    encryption: encryptionSetting,
    taskQueue: taskQueueSetting,
  })
  .refine(({ privateKey, privateKeyFile }) => privateKey === undefined || privateKeyFile === undefined, {
    message: 'give `privateKey` or `privateKeyFile`, not both',
    path: ['privateKeyFile'],
  })
  .refine(({ hostKey, knownHosts }) => hostKey === undefined || knownHosts === undefined, {
    message: 'give `hostKey` or `knownHosts`, not both',
    path: ['knownHosts'],
  })
  .refine((given) => [given.password, given.privateKey, given.privateKeyFile, given.agent].some(Boolean), {
    message: 'needs one of `privateKey`, `privateKeyFile`, `agent` and `password` to log in',
  });

export type SftpSettings = z.output<typeof sftpSettings>;
