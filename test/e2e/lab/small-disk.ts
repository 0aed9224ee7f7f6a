import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverAccount } from '../../../worker/local/server-account.ts';
import { queryOnce, type LabDatabase } from './database.ts';

/** A disk of the target server that has no room for a second copy of `lab.t_0`, and later has. */
export interface SmallDisk {
  makeRoom(): Promise<void>;
  /** After the database is gone. */
  end(): Promise<void>;
}

/**
 * As root: a real one, a tablespace on a tmpfs of 6 MB. Where nothing can be mounted the server says the
 * same at the same statement by a constraint: what is tested is what becomes of SQLSTATE 53100.
 */
export async function putOnSmallDisk(target: LabDatabase, serverUrl: string): Promise<SmallDisk> {
  const account = serverAccount();
  const folder = account === null ? null : mountedFolder();
  if (account === null || folder === null) return await sayDiskFull(target);
  chownSync(folder, account.uid, account.gid);
  return await realDisk(target, serverUrl, folder);
}

/** A folder that has no room for a big object, and later has. */
export interface SmallFolder {
  readonly folder: string;
  /** What the limit holds for, once it runs. */
  limit(pid: number): void;
  makeRoom(pid: number): void;
  end(): void;
}

/**
 * A real disk of 700 kB where one can be mounted. Elsewhere no file that the process writes may grow beyond that, which
 * the system refuses at the same call.
 */
export function smallFolder(): SmallFolder {
  const mounted = mountedFolder('700k');
  if (mounted !== null) {
    return {
      folder: mounted,
      limit: () => undefined,
      makeRoom: () => execFileSync('mount', ['-o', 'remount,size=100m', mounted]),
      end: () => {
        execFileSync('umount', [mounted]);
        rmSync(mounted, { recursive: true });
      },
    };
  }
  const folder = mkdtempSync(join(tmpdir(), 'syncline-disk-'));
  const allow = (pid: number, bytes: string): void => {
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  };
  return {
    folder,
    limit: (pid) => allow(pid, '700000'),
    makeRoom: (pid) => allow(pid, 'unlimited'),
    end: () => rmSync(folder, { recursive: true }),
  };
}

/** Null in a container that may not mount. */
function mountedFolder(size = '6m'): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'syncline-disk-'));
  chmodSync(folder, 0o755);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    rmSync(folder, { recursive: true });
    return null;
  }
}

async function realDisk(target: LabDatabase, serverUrl: string, folder: string): Promise<SmallDisk> {
  const space = `small_${randomBytes(4).toString('hex')}`;
  await target.query(`CREATE TABLESPACE ${space} LOCATION '${folder}'`);
  await target.query(`ALTER TABLE lab.t_0 SET TABLESPACE ${space}`);
  return {
    makeRoom: () => {
      execFileSync('mount', ['-o', 'remount,size=100m', folder]);
      return Promise.resolve();
    },
    end: async () => {
      await queryOnce(serverUrl, `DROP TABLESPACE ${space}`);
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true });
    },
  };
}

async function sayDiskFull(target: LabDatabase): Promise<SmallDisk> {
  await target.query(`
    CREATE FUNCTION lab.room() RETURNS boolean LANGUAGE plpgsql
      AS $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$;
    ALTER TABLE lab.t_0 ADD CONSTRAINT room CHECK (id < 5000 OR lab.room())`);
  return {
    makeRoom: async () => {
      await target.query(
        `CREATE OR REPLACE FUNCTION lab.room() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$`,
      );
    },
    end: () => Promise.resolve(),
  };
}
