import type { Readable } from 'node:stream';
import { SynclineError } from '../../../definitions/errors.ts';
import type { LoadRef } from '../../../definitions/contracts/copy.ts';
import type { BackupSummary, BackupWriter, BeginBackup, ReceiveObject } from '../../spi/artifact.ts';
import { expectSafeKey } from '../../spi/files.ts';
import { displayName } from '../../spi/tables.ts';
import type { Artifact } from '../artifact.ts';
import { type Begun, begunShape, codingOf } from '../load/backup-under-way.ts';
import { receiptKey, receiptsOf } from '../load/receipts.ts';
import {
  backupFolder,
  beginKey,
  expectBackupId,
  expectDataKey,
  notedLogKey,
  manifestKey,
  newToken,
  planFolder,
  snapshotKey,
} from '../objects/layout.ts';
import { never } from '../objects/place.ts';
import { writeLines } from '../objects/sealed.ts';
import { notedLogShape } from './cut.ts';
import { beginCut } from './cut-writing.ts';
import { endLoad } from './end-load.ts';
import { readManifest, summaryOf } from './manifest.ts';
import { publishReceived } from './publish-received.ts';
import { publishLoad, readSnapshot } from './publish.ts';

export function createWriter(artifact: Artifact): BackupWriter {
  return {
    begin: (request) => begin(artifact, request),
    receive: (request) => receive(artifact, request),
    publish: (ref, manifest) => publish(artifact, ref, manifest),
    async manifestBytes(backup) {
      expectBackupId(backup);
      // Never sends out what it would not take itself.
      await readManifest(artifact.place, backup);
      return await artifact.place.read(manifestKey(backup), never);
    },
    snapshot: (ref) => readSnapshot(artifact, artifact.backupOf(ref)),
    log: (ref) => artifact.place.readJson(notedLogKey(artifact.backupOf(ref)), notedLogShape),
    async noteLog(ref, log) {
      await artifact.claim(ref.job);
      await artifact.place.writeJson(notedLogKey(artifact.backupOf(ref)), log);
    },
    cut: (ref) => beginCut(artifact, artifact.backupOf(ref)),
    async noteSnapshot(ref, snapshot) {
      await artifact.claim(ref.job);
      await artifact.place.writeJson(snapshotKey(artifact.backupOf(ref)), snapshot);
    },
  };
}

/** Called again, only the tables' scripts are taken: what is being written was begun with the rest. */
async function begin(artifact: Artifact, request: BeginBackup): Promise<void> {
  const { place } = artifact;
  const backup = artifact.backupOf(request.ref);
  await artifact.claim(request.ref.job);
  if (await artifact.isPublished(backup)) return;
  expectEachOnce(request);
  if (request.encrypt) place.key();
  const known = await place.readJson(beginKey(backup), begunShape);
  const coding = codingOf(known ?? request);
  const tables = known === null ? request.tables : await withNewScripts(artifact, backup, request);
  const ref = await writeLines(place, `${planFolder(backup)}begun-${newToken()}`, { values: tables, coding });
  await place.writeJson(beginKey(backup), { ...(known ?? begunOf(request)), tables: ref });
  if (known !== null) await place.remove([known.tables.key]);
}

function begunOf(request: BeginBackup): Omit<Begun, 'tables'> {
  const { ref, scope, scheduledTime, compression, compressionLevel, encrypt, consistency, basedOn } = request;
  return {
    job: ref.job,
    sourceStore: ref.sourceStore,
    scope,
    scheduledTime,
    compression,
    compressionLevel,
    encrypt,
    consistency,
    basedOn,
  };
}

async function withNewScripts(
  artifact: Artifact,
  backup: string,
  request: BeginBackup,
): Promise<BeginBackup['tables']> {
  const fresh = new Map(request.tables.map((table) => [displayName(table.definition.name), table.script]));
  const known = await artifact.underWay(backup).readBackupTables();
  return known.map((table) => ({
    ...table,
    script: fresh.get(displayName(table.definition.name)) ?? table.script,
  }));
}

/** A chunk is found again by its name, so a backup holds each table once. */
function expectEachOnce({ tables }: BeginBackup): void {
  const names = new Set<string>();
  for (const { definition } of tables) {
    const name = displayName(definition.name);
    if (names.has(name))
      throw new SynclineError(
        'definition.invalid',
        `Table ${name} is selected twice; a backup holds it once.`,
      );
    names.add(name);
  }
}

async function receive(artifact: Artifact, request: ReceiveObject): Promise<void> {
  const { ref, object, signal } = request;
  const { place } = artifact;
  const backup = artifact.backupOf(ref);
  const { key, bytes, sha256, ordinal } = object;
  expectSafeKey(key);
  // The manifest is none of the objects: it comes last, by `publish`.
  if (!key.startsWith(backupFolder(backup)) || key === manifestKey(backup)) expectDataKey(key);
  const { token } = await artifact.underWay(backup).expectHead();
  if ((await receiptsOf(place, backup, ordinal)).length > 0) return;
  const isThere = async (): Promise<boolean> => {
    const stat = await place.stat(key, { sha256: true, signal });
    return stat?.bytes === bytes && stat.sha256 === sha256;
  };
  if (!(await isThere())) {
    await place.write(key, await request.open(), signal);
    if (!(await isThere())) {
      await place.remove([key]);
      throw new SynclineError('artifact.corrupt', `${place.full(key)}: it arrived other than it was sent.`);
    }
  }
  const receipt = receiptKey({ backup, ordinal, rows: 0, bytes, token: newToken() });
  await place.writeJson(receipt, { plan: token, held: null, object: { key, storedBytes: bytes, sha256 } });
}

async function publish(
  artifact: Artifact,
  ref: LoadRef,
  manifest: Readable | undefined,
): Promise<BackupSummary> {
  const backup = artifact.backupOf(ref);
  await artifact.claim(ref.job);
  if (!(await artifact.isPublished(backup))) {
    return manifest === undefined
      ? await publishLoad(artifact, backup)
      : await publishReceived(artifact, backup, manifest);
  }
  manifest?.destroy();
  // An attempt before this one may have died between the manifest and the rest.
  await endLoad(artifact, backup);
  return summaryOf(await readManifest(artifact.place, backup));
}
