import { Context } from '@temporalio/activity';
import type { CheckHeartbeat } from '../../definitions/contracts/backup-restore.ts';
import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { BackupPlace, ResolvedRestore } from '../../definitions/contracts/job.ts';
import { errorTable } from '../../definitions/errors.ts';
import type { BackupCatalog, StoredObject } from '../../stores/spi/artifact.ts';
import type { FileStore } from '../../stores/spi/files.ts';

/** Objects listed at once. */
const page = 1_000;
/** Objects read at once. */
const concurrency = 4;
/** Bad objects that are named; the first of them is reason enough. */
const maxNamed = 20;

export interface ObjectCheck {
  readonly catalog: BackupCatalog;
  readonly files: FileStore;
  readonly place: BackupPlace;
  readonly backup: string;
  readonly check: ResolvedRestore['check'];
  readonly signal: AbortSignal;
  /** Told how far it has come; every object up to `checked` is whole. */
  readonly progress: { checked: number; bytes: number };
}

/** Looks at every object that a backup needs, before anything is changed. A finding names each that is not whole. */
export async function checkObjects(check: ObjectCheck): Promise<PreflightFinding[]> {
  const { catalog, backup, progress } = check;
  const findings: PreflightFinding[] = [];
  for (let after = progress.checked; ;) {
    const objects = await catalog.objects(backup, after, page);
    const last = objects.at(-1);
    if (last === undefined) return findings;
    for (let at = 0; at < objects.length; at += concurrency) {
      const some = objects.slice(at, at + concurrency);
      const found = await Promise.all(some.map((object) => problemOf(check, object)));
      findings.push(...found.filter((problem) => problem !== null));
      if (findings.length >= maxNamed) return findings;
      // A later attempt must come upon the bad ones again.
      if (findings.length > 0) continue;
      progress.checked = some.at(-1)?.ordinal ?? progress.checked;
      progress.bytes += some.reduce((sum, object) => sum + object.bytes, 0);
    }
    after = last.ordinal;
  }
}

async function problemOf(
  { files, place, check, signal }: ObjectCheck,
  object: StoredObject,
): Promise<PreflightFinding | null> {
  const key = `${place.path}/${object.key}`;
  const stat = await files.stat(key, { sha256: check === 'objects', signal });
  const whose = object.chunk === null ? '' : `, which holds ${object.chunk},`;
  if (stat === null)
    return finding('files.missing', object, `Object ${key}${whose} is not in store ${place.store}.`);
  if (stat.bytes !== object.bytes) {
    const sizes = `has ${String(stat.bytes)} bytes instead of ${String(object.bytes)}`;
    return finding('artifact.corrupt', object, `Object ${key}${whose} ${sizes}.`);
  }
  if (check === 'sizes' || stat.sha256 === object.sha256) return null;
  return finding('artifact.corrupt', object, `Object ${key}${whose} has other bytes than were written.`);
}

function finding(
  code: 'files.missing' | 'artifact.corrupt',
  { chunk }: StoredObject,
  message: string,
): PreflightFinding {
  return { severity: 'error', code, table: chunk, message, cure: errorTable[code].cure };
}

/** Where an earlier attempt of this activity, which died, had come to with this backup. */
export function checkedBefore(backup: string): { checked: number; bytes: number } {
  const details: unknown = Context.current().info.heartbeatDetails;
  if (typeof details !== 'object' || details === null) return { checked: 0, bytes: 0 };
  const { step, backup: of, checked = 0, bytes = 0 } = details as Partial<CheckHeartbeat>;
  return step === 'checking' && of === backup ? { checked, bytes } : { checked: 0, bytes: 0 };
}
