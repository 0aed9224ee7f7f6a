import { describe, expect, it } from 'vitest';
import {
  parseRsyncVersion,
  pushedIn,
  rsyncArguments,
  syncsFiles,
} from '../../../stores/sftp/mirror/rsync-command.ts';
import { rsyncError } from '../../../stores/sftp/mirror/rsync-errors.ts';

const places = { from: '/here/', to: '/far/vault', temporary: '/far/vault/.syncline-rsync-1', sync: true };

describe('The command line of rsync', () => {
  it('has the throttle in KiB a second, at least one, and none when nothing limits', () => {
    const limitOf = (throttleBytesPerSecond?: number): string[] =>
      rsyncArguments({ ...places, throttleBytesPerSecond }).filter((argument) =>
        argument.includes('bwlimit'),
      );
    expect(limitOf()).toEqual([]);
    expect(limitOf(5 * 1024 * 1024)).toEqual(['--bwlimit=5120']);
    expect(limitOf(10)).toEqual(['--bwlimit=1']);
  });

  it('names the two places last and after the options, and no key', () => {
    expect(rsyncArguments(places).slice(-3)).toEqual(['--', '/here/', 'syncline:/far/vault/']);
    expect(rsyncArguments({ ...places, from: '/', to: '' }).slice(-2)).toEqual(['/', 'syncline:/']);
  });

  it('writes through to the disk where both versions can', () => {
    expect(rsyncArguments(places)).toContain('--fsync');
    expect(rsyncArguments({ ...places, sync: false })).not.toContain('--fsync');
    const able = [
      'rsync  version 3.2.3  protocol',
      'rsync  version 3.2.4  protocol',
      'rsync  version v3.4.1',
    ].map((output) => syncsFiles(parseRsyncVersion(output) ?? [0, 0, 0]));
    expect(able).toEqual([false, true, true]);
    expect(parseRsyncVersion('This service allows sftp connections only.')).toBeNull();
  });

  it('reads the counts of both spellings', () => {
    const output =
      'Number of regular files transferred: 1,234\nTotal transferred file size: 5,678,901 bytes\n';
    expect(pushedIn(output)).toEqual({ files: 1234, bytes: 5678901 });
    expect(pushedIn('Number of files transferred: 3\n')).toEqual({ files: 3, bytes: 0 });
  });
});

describe('What rsync fails with', () => {
  it.each([
    ['store.diskFull', 11, 'rsync: write failed on "/v/x": No space left on device (28)'],
    ['store.permission', 23, 'rsync: mkstemp "/v/.x" failed: Permission denied (13)'],
    ['store.authentication', 255, 'u@h: Permission denied (publickey,password).'],
    ['store.hostKey', 255, 'Host key verification failed.'],
    ['store.unreachable', 255, 'ssh: connect to host h port 22: Connection refused'],
    ['store.connectionLost', 255, 'client_loop: send disconnect: Broken pipe'],
    ['store.connectionLost', 12, 'rsync: connection unexpectedly closed (8 bytes received so far) [sender]'],
    ['store.connectionLost', 30, ''],
    ['files.missing', 23, 'rsync: link_stat "/here/data/x" failed: No such file or directory (2)'],
    ['store.unsupported', 127, 'bash: line 1: rsync: command not found'],
    ['internal.unexpected', 99, 'secret words'],
  ] as const)('becomes %s for exit code %i', (code, exit, complaints) => {
    const error = rsyncError('far', { code: exit, output: '', complaints });
    expect(error).toMatchObject({ code, details: { store: 'far' } });
    expect(error.message).not.toContain('secret words');
    expect(error.message).not.toContain('/here');
  });

  it('becomes an unexpected error when a signal ended it', () => {
    const error = rsyncError('far', { code: null, output: '', complaints: '' });
    expect(error.code).toBe('internal.unexpected');
  });
});
