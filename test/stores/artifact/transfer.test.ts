import { beforeEach, describe, expect, it } from 'vitest';
import type { LoadRef } from '../../../definitions/contracts/copy.ts';
import { openArtifact } from '../../../stores/artifact/open-artifact.ts';
import type { StoredObject } from '../../../stores/spi/artifact.ts';
import type { LoadUnit } from '../../../stores/spi/chunk-source.ts';
import { requireCapability, type Store } from '../../../stores/spi/store.ts';
import { inPieces } from '../../conformance/streams.ts';
import { MemoryDisk, openMemoryFiles } from '../../support/memory-files.ts';
import {
  asRestored,
  backUp,
  backupId,
  type Content,
  inOrder,
  newKeys,
  path,
  refOf,
  restore,
  signal,
  tablePlan,
} from './backups.ts';

const content: Content = { trades_1: [['a', 'b', 'c']], trades_2: [['d'], ['e', 'f']] };
const [first, second] = [backupId(1), backupId(2)];
const keys = newKeys();

function transferOf(backup: string): LoadRef {
  return refOf(backup, { load: `transfer:${backup}`, sourceArtifact: { path, backup } });
}

describe('a backup that is brought to another store', () => {
  let near: MemoryDisk;
  let far: MemoryDisk;
  let source: Store;
  let target: Store;

  beforeEach(async () => {
    [near, far] = [new MemoryDisk(), new MemoryDisk()];
    source = openMemoryFiles(near, { encryption: keys });
    target = openMemoryFiles(far, { encryption: keys });
    await backUp(source, { backup: first, content, encrypt: true });
  });

  const open = (files: Store, backup: string): Store => openArtifact(files, { path, backup });

  async function plan(backup: string): Promise<readonly StoredObject[]> {
    const objects = await requireCapability(open(source, backup), 'backupCatalog').objects(backup, 0, 1_000);
    const units = objects.map(({ ordinal, key, bytes }): LoadUnit => {
      const name = { schema: 'backup', name: key };
      return {
        ordinal,
        firstOfChunk: ordinal,
        kind: 'whole',
        chunk: key,
        slice: 0,
        table: 1,
        sourceLeaf: name,
        targetLeaf: name,
        range: null,
        bound: null,
        bytes,
      };
    });
    const { plans } = requireCapability(open(target, backup), 'loadLedger');
    await plans.write(transferOf(backup), [tablePlan], inOrder(units));
    return objects;
  }

  let opened = 0;

  async function receive(object: StoredObject, backup: string, content?: Buffer): Promise<void> {
    const writer = requireCapability(open(target, backup), 'backupWriter');
    await writer.receive({
      ref: transferOf(backup),
      object,
      signal,
      open: () => {
        opened += 1;
        return Promise.resolve(inPieces(content ?? near.content(`${path}/${object.key}`)));
      },
    });
  }

  async function publish(backup: string): Promise<unknown> {
    const bytes = await requireCapability(open(source, backup), 'backupWriter').manifestBytes(backup);
    return await requireCapability(open(target, backup), 'backupWriter').publish(transferOf(backup), bytes);
  }

  it('is there once its manifest is, byte by byte the same, and publishing again answers the same', async () => {
    for (const object of await plan(first)) await receive(object, first);
    await expect(restore(target, first)).rejects.toMatchObject({ code: 'artifact.missing' });
    const summary = await publish(first);
    expect(await publish(first)).toEqual(summary);
    expect(await restore(target, first)).toEqual(asRestored(content));
    const sorted = (disk: MemoryDisk): string[] =>
      disk.keys().filter((key) => /\/(data|backups)\//.test(key));
    expect(sorted(far)).toEqual(sorted(near));
    for (const key of sorted(near)) expect(far.content(key)).toEqual(near.content(key));
    const ledger = requireCapability(open(target, first), 'loadLedger');
    expect(await ledger.totals(transferOf(first))).toMatchObject({ unitsDone: 5, unitsSkipped: 0 });
  });

  it('is not published while an object is missing, was set aside, or another than was announced', async () => {
    const objects = await plan(first);
    for (const object of objects.slice(1)) await receive(object, first);
    await expect(publish(first)).rejects.toMatchObject({ code: 'verify.totalsDiffer' });
    const ledger = requireCapability(open(target, first), 'loadLedger');
    await ledger.deadLetters.put(transferOf(first), {
      ordinal: 1,
      chunk: objects[0]?.key ?? '',
      code: 'artifact.corrupt',
      message: 'It is.',
    });
    await expect(publish(first)).rejects.toMatchObject({ code: 'artifact.missing' });
    const [one] = objects;
    if (one === undefined) throw new Error('no object');
    await expect(receive(one, first, Buffer.from('else'))).rejects.toMatchObject({
      code: 'artifact.corrupt',
      message: expect.stringContaining(one.key) as string,
    });
    expect(far.keys().includes(`${path}/${one.key}`)).toBe(false);
    await receive(one, first);
    await publish(first);
    expect(await restore(target, first)).toEqual(asRestored(content));
  });

  it('takes no object that is there already, and none under a name that no backup gives', async () => {
    for (const object of await plan(first)) await receive(object, first);
    await publish(first);
    await backUp(source, { backup: second, content, basedOn: first, encrypt: true });
    opened = 0;
    const objects = await plan(second);
    for (const object of objects) await receive(object, second);
    // Page and schema only: all rows are referred to.
    expect(opened).toBe(2);
    const [one] = objects;
    if (one === undefined) throw new Error('no object');
    for (const key of ['../x', 'owner.json', `backups/${second}/manifest.json`, 'plans/x/over.json'])
      await expect(receive({ ...one, key }, second)).rejects.toMatchObject({
        code: expect.stringMatching(/^(files.unsafeKey|artifact.corrupt)$/) as string,
      });
    await publish(second);
    expect(await restore(target, second)).toEqual(asRestored(content));
  });

  it('that refers to a backup which never came here survives that the other one is given up', async () => {
    for (const object of (await plan(first)).slice(1)) await receive(object, first);
    await backUp(source, { backup: second, content, basedOn: first, encrypt: true });
    for (const object of await plan(second)) await receive(object, second);
    await publish(second);
    const third = backupId(3);
    await backUp(source, { backup: third, content, basedOn: second, encrypt: true });
    for (const object of await plan(third)) await receive(object, third);
    expect(await restore(target, second)).toEqual(asRestored(content));
    await requireCapability(open(target, third), 'loadLedger').forget('trades-offsite');
    expect(await restore(target, second)).toEqual(asRestored(content));
  });
});
