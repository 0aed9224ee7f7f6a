import type { PreflightFinding } from '../../definitions/contracts/copy.ts';
import type { ResolvedBackupRestoreJob } from '../../definitions/contracts/job.ts';
import { errorTable } from '../../definitions/errors.ts';
import { likeMatcher } from '../../planning/like-pattern.ts';
import type { StoreProvider } from '../../stores/spi/store.ts';
import type { DescribedTable } from '../copy/describe-job.ts';

/** Rows are seldom packed better than this, so a backup that needs more room than that does not fit. */
const bestCompression = 20;

interface Needed {
  readonly job: ResolvedBackupRestoreJob;
  readonly tables: readonly DescribedTable[];
}

/**
 * Whether the vault answers, has a key where one is needed, and room. How well rows pack is not known beforehand, nor what an incremental backup
 * will refer to: an error only where it cannot fit, else a warning.
 */
export async function vaultFindings(stores: StoreProvider, needed: Needed): Promise<PreflightFinding[]> {
  const { store, compression, incremental, encrypt } = needed.job.backup;
  const vault = stores.get(store);
  const { freeBytes, warnings } = await vault.check();
  const findings = warnings.map((message) => findingOf('warning', `Store ${store}: ${message}`));
  if (encrypt && vault.encryption === undefined) findings.push(keyless(store));
  const bytes = bytesOf(needed.tables);
  if (freeBytes === undefined || freeBytes >= bytes) return findings;
  const surely = compression === 'none' ? bytes : bytes / bestCompression;
  const message = `Store ${store} has ${mebibytes(freeBytes)} MiB free; the tables have ${mebibytes(bytes)} MiB before compression.`;
  return [...findings, findingOf(!incremental && freeBytes < surely ? 'error' : 'warning', message)];
}

function keyless(store: string): PreflightFinding {
  return {
    severity: 'error',
    code: 'artifact.wrongKey',
    table: null,
    message: `Store ${store} has no key to encrypt the backup with.`,
    cure: 'Set `encryption.key` of the store in syncline.yaml, or `encrypt: false`.',
  };
}

function bytesOf(tables: readonly DescribedTable[]): number {
  return tables
    .filter((table) => table.window === null && table.where === null)
    .flatMap(({ definition, selection }) => {
      const matches = likeMatcher(selection.chunks);
      return definition.leaves.filter((leaf) => matches(leaf.name.name));
    })
    .reduce((sum, leaf) => sum + leaf.bytes, 0);
}

function findingOf(severity: 'error' | 'warning', message: string): PreflightFinding {
  const code = 'store.diskFull';
  return severity === 'error'
    ? { severity, code, table: null, message, cure: errorTable[code].cure }
    : { severity, code: null, table: null, message, cure: null };
}

function mebibytes(bytes: number): string {
  return String(Math.ceil(bytes / 1_048_576));
}
