import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { openArtifact } from '../../../stores/artifact/open-artifact.ts';
import { sealOf } from '../../../stores/artifact/codec/keys.ts';
import { requireCapability } from '../../../stores/spi/store.ts';
import { MemoryDisk, openMemoryFiles } from '../../support/memory-files.ts';
import { backUp, backupId, type Content, newKeys, path, restore } from './backups.ts';

const content: Content = { trades_1: [['a', 'b', 'c']], trades_2: [['d'], ['e', 'f']] };
const [first, second] = [backupId(1), backupId(2)];
const manifestOf = (backup: string): string => `${path}/backups/${backup}/manifest.json`;

type Json = Record<string, unknown>;

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical((value as Json)[name])}`).join(',')}}`;
}

describe('a backup that somebody has changed', () => {
  let disk: MemoryDisk;

  beforeEach(async () => {
    disk = new MemoryDisk();
    await backUp(openMemoryFiles(disk), { backup: first, content, compression: 'none' });
  });

  /** Changes the manifest and seals it anew, as whoever can write to the store without a key can. */
  function forge(change: (manifest: Json) => Json, backup = first): void {
    const { seal, ...rest } = JSON.parse(disk.content(manifestOf(backup)).toString()) as Json;
    expect(seal).toBe(sealOf(canonical(rest), null));
    const changed = change(rest);
    disk.put(
      manifestOf(backup),
      Buffer.from(JSON.stringify({ ...changed, seal: sealOf(canonical(changed), null) })),
    );
  }

  /** Changes the lines of its first page too, and everything that says what they are. */
  function forgePage(change: (entry: Json) => Json): void {
    forge((manifest) => {
      const [page] = manifest['pages'] as Json[];
      const key = `${path}/${page?.['key'] as string}`;
      const lines = disk.content(key).toString().trimEnd().split('\n');
      const text = Buffer.from(
        lines.map((line) => `${JSON.stringify(change(JSON.parse(line) as Json))}\n`).join(''),
      );
      disk.put(key, text);
      const sha256 = createHash('sha256').update(text).digest('hex');
      return { ...manifest, pages: [{ ...page, sha256, storedBytes: text.length }] };
    });
  }

  function refused(backup = first): Promise<unknown> {
    return restore(openMemoryFiles(disk), backup).then(
      () => 'restored',
      (error: unknown) => error,
    );
  }

  it('is refused whichever byte of whichever object is flipped, and the object is named', async () => {
    const parts = disk.keys().filter((key) => /\/(data|backups)\//.test(key));
    expect(parts).toHaveLength(6);
    for (const key of parts) {
      const good = disk.content(key);
      for (const at of [0, Math.floor(good.length / 2), good.length - 2]) {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] ?? 0) ^ 1;
        disk.put(key, bad);
        expect(await refused()).toMatchObject({
          code: expect.stringMatching(/^(artifact|files)\./) as string,
          message: expect.stringContaining(key.split('/').at(-1) ?? '') as string,
        });
      }
      disk.put(key, good.subarray(0, -2));
      expect(await refused()).toMatchObject({ code: 'artifact.corrupt' });
      disk.objects.delete(key);
      expect(await refused()).toMatchObject({
        code: key.endsWith('manifest.json') ? 'artifact.missing' : 'artifact.corrupt',
      });
      disk.put(key, good);
    }
    expect(await refused()).toBe('restored');
  });

  it.each(['../../etc/passwd', '/etc/passwd', 'data/../../x', 'data/.x/y', 'a b'])(
    'is refused when it names %j as an object',
    async (key) => {
      forgePage((entry) => {
        const held = entry['held'] as Json;
        return { ...entry, held: { ...held, object: { ...(held['object'] as Json), key } } };
      });
      expect(await refused()).toMatchObject({ code: 'files.unsafeKey' });
    },
  );

  it.each(['owner.json', `backups/${first}/manifest.json`, 'data/x', 'data/x/y/z'])(
    'is refused when it names %j as an object with rows',
    async (key) => {
      forgePage((entry) => {
        const held = entry['held'] as Json;
        return { ...entry, held: { ...held, object: { ...(held['object'] as Json), key } } };
      });
      expect(await refused()).toMatchObject({ code: 'artifact.corrupt' });
    },
  );

  it.each(['../x', 'backups/../../x'])('is refused when it names %j as its schema or a page', async (key) => {
    forge((manifest) => ({ ...manifest, schema: { ...(manifest['schema'] as Json), key } }));
    expect(await refused()).toMatchObject({ code: 'files.unsafeKey' });
    forge((manifest) => ({ ...manifest, pages: [{ ...(manifest['pages'] as Json[])[0], key }] }));
    expect(await refused()).toMatchObject({ code: 'files.unsafeKey' });
  });

  it('is refused when its format is newer, whatever else it says', async () => {
    disk.put(manifestOf(first), Buffer.from(JSON.stringify({ format: 3, anything: true })));
    expect(await refused()).toMatchObject({ code: 'artifact.newerFormat' });
  });

  it.each(['units', 'rows', 'bytes', 'storedBytes', 'referredBytes'])(
    'is refused when its %s are not those of its entries',
    async (field) => {
      forge((manifest) => ({ ...manifest, [field]: (manifest[field] as number) + 1 }));
      expect(await refused()).toMatchObject({ code: 'artifact.corrupt' });
    },
  );

  it('is refused when an object is named twice, or the rows are not so many bytes', async () => {
    const good = disk.content(manifestOf(first));
    let key: unknown = null;
    forgePage((entry) => {
      const held = entry['held'] as Json;
      const object = held['object'] as Json;
      key ??= object['key'];
      return { ...entry, held: { ...held, object: { ...object, key } } };
    });
    expect(await refused()).toMatchObject({ code: 'artifact.corrupt' });
    disk.put(manifestOf(first), good);
  });

  it('is refused when pages of another backup were put in their place, or its manifest is another one', async () => {
    await backUp(openMemoryFiles(disk), {
      backup: second,
      content: { ...content, trades_1: [['z', 'y', 'x']] },
    });
    const [one = '', other = ''] = [first, second].map(
      (backup) => disk.keys(`${path}/backups/${backup}/chunks`)[0],
    );
    const [mine, theirs] = [disk.content(one), disk.content(other)];
    disk.put(one, theirs);
    expect(await refused()).toMatchObject({ code: 'artifact.corrupt' });
    disk.put(one, mine);
    disk.put(manifestOf(first), disk.content(manifestOf(second)));
    expect(await refused()).toMatchObject({ code: 'artifact.corrupt' });
  });

  it('cannot be sealed anew by whoever has no key', async () => {
    const keys = newKeys();
    const files = openMemoryFiles(disk, { encryption: keys });
    await backUp(files, { backup: second, content, encrypt: true });
    const { seal, ...rest } = JSON.parse(disk.content(manifestOf(second)).toString()) as Json;
    const changed = { ...rest, createdAt: '2030-01-01T00:00:00.000Z' };
    for (const forged of [seal, sealOf(canonical(changed), null)]) {
      disk.put(manifestOf(second), Buffer.from(JSON.stringify({ ...changed, seal: forged })));
      await expect(restore(files, second)).rejects.toMatchObject({ code: 'artifact.corrupt' });
    }
  });

  it('stops a prune before anything is removed, whichever manifest or page cannot be read', async () => {
    await backUp(openMemoryFiles(disk), { backup: second, content, basedOn: first });
    const catalog = requireCapability(
      openArtifact(openMemoryFiles(disk), { path, backup: null }),
      'backupCatalog',
    );
    const keep = { last: 1, days: null, now: new Date().toISOString() };
    const broken = [
      manifestOf(first),
      manifestOf(second),
      disk.keys(`${path}/backups/${second}/chunks`)[0] ?? '',
    ];
    for (const key of broken) {
      const good = disk.content(key);
      disk.put(key, good.subarray(1));
      const before = disk.keys();
      await expect(catalog.prune(keep)).rejects.toMatchObject({ code: 'artifact.corrupt' });
      expect(disk.keys()).toEqual(before);
      disk.put(key, good);
    }
    expect(await catalog.prune(keep)).toEqual({ backups: [first], objects: 0 });
    expect(await restore(openMemoryFiles(disk), second)).toMatchObject({ trades_2: [['d'], ['e', 'f']] });
    expect(await refused()).toMatchObject({ code: 'artifact.missing' });
  });
});
