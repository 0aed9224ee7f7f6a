import { Readable } from 'node:stream';
import type { BackupTable, CutWriting, UnitPatch, UnitRows } from '../../spi/artifact.ts';
import type { LoadUnit } from '../../spi/chunk-source.ts';
import type { RowStream, SnapshotMark } from '../../spi/rows.ts';
import type { Artifact } from '../artifact.ts';
import { type Begun, codingOf } from '../load/backup-under-way.ts';
import { readReceipt, receiptsOf } from '../load/receipts.ts';
import { cutKey, newToken, objectKey, planFolder } from '../objects/layout.ts';
import { refOf, writeLines, writeObject, type WrittenRef } from '../objects/sealed.ts';
import type { HeldRows } from './entry.ts';

/** Null when the backup has been cut already, or is published. */
export async function beginCut(artifact: Artifact, backup: string): Promise<CutWriting | null> {
  const { place } = artifact;
  if ((await place.stat(cutKey(backup))) !== null || (await artifact.isPublished(backup))) return null;
  const underWay = artifact.underWay(backup);
  const [begun, tables] = [await underWay.expectBegun(), await underWay.readBackupTables()];
  return new ObjectCut(artifact, { backup, begun, tables });
}

interface CutBackup {
  readonly backup: string;
  readonly begun: Begun;
  readonly tables: readonly BackupTable[];
}

class ObjectCut implements CutWriting {
  readonly tables: readonly BackupTable[];
  private readonly artifact: Artifact;
  private readonly of: CutBackup;
  private readonly token = newToken();
  private readonly held = new Map<number, HeldRows>();

  constructor(artifact: Artifact, of: CutBackup) {
    this.artifact = artifact;
    this.of = of;
    this.tables = of.tables;
  }

  async patch(unit: LoadUnit, patch: UnitPatch): Promise<void> {
    const held = await this.heldOf(unit);
    if (held === null) return;
    const { signal } = patch;
    const keys = await this.write(unit, 'keys', { bytes: Readable.from(packed(patch.keys)), signal });
    const rows = await this.write(unit, 'rows', { bytes: patch.rows.bytes, signal });
    const { patched, ...result } = await patch.result();
    this.held.set(unit.ordinal, {
      ...held,
      ...result,
      bytes: held.bytes + rows.rawBytes,
      content: null,
      at: new Date().toISOString(),
      changes: {
        columns: [...patch.keyColumns],
        keys: refOf(keys),
        rows: refOf(rows),
        count: patched,
        bytes: rows.rawBytes,
        readBytes: held.bytes,
      },
    });
  }

  async replace(unit: LoadUnit, anew: UnitRows): Promise<void> {
    if ((await this.heldOf(unit)) === null) return;
    const { rows, signal } = anew;
    const object = await this.write(unit, 'all', { bytes: rows.bytes, signal });
    const { backup } = this.of;
    this.held.set(unit.ordinal, {
      ...(await anew.result()),
      ...{ bytes: object.rawBytes, object: refOf(object), content: null, from: backup },
      mark: nowhere,
      at: new Date().toISOString(),
    });
  }

  async commit(mark: SnapshotMark): Promise<void> {
    const { place } = this.artifact;
    const { backup, begun } = this.of;
    const values = [...this.held].map(([ordinal, held]) => ({ ordinal, held: { ...held, mark } }));
    const units = await writeLines(place, `${planFolder(backup)}cut-${this.token}`, {
      values,
      coding: codingOf(begun),
    });
    await place.writeJson(cutKey(backup), { mark, units });
  }

  /** Of several attempts that came through, the first whose object is there. */
  private async heldOf(unit: LoadUnit): Promise<HeldRows | null> {
    const { place } = this.artifact;
    for (const name of await receiptsOf(place, this.of.backup, unit.ordinal)) {
      const { held } = await readReceipt(place, name);
      if (held === null) continue;
      if ((await place.stat(held.object.key))?.bytes === held.object.storedBytes) return held;
    }
    return null;
  }

  private async write(
    { chunk, slice }: LoadUnit,
    what: 'keys' | 'rows' | 'all',
    body: { readonly bytes: RowStream['bytes']; readonly signal: AbortSignal },
  ): Promise<WrittenRef> {
    const { backup, begun } = this.of;
    const key = objectKey({ job: begun.job, backup, chunk, slice, token: `${this.token}${what}` });
    const { bytes, signal } = body;
    return await writeObject(this.artifact.place, key, { body: bytes, coding: codingOf(begun), signal });
  }
}

/** Every mark is written by `commit`. */
const nowhere: SnapshotMark = { snapshot: '', insertPosition: '', systemId: '', timeline: 0 };

const pieceBytes = 256 * 1024;

function* packed(keys: readonly string[]): Generator<Buffer> {
  let piece: string[] = [];
  let bytes = 0;
  for (const key of keys) {
    piece.push(key);
    bytes += key.length;
    if (bytes < pieceBytes) continue;
    yield Buffer.from(piece.join(''), 'latin1');
    [piece, bytes] = [[], 0];
  }
  if (bytes > 0) yield Buffer.from(piece.join(''), 'latin1');
}
