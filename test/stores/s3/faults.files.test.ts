import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { type FileStore } from '../../../stores/spi/files.ts';
import { requireCapability, type Store } from '../../../stores/spi/store.ts';
import { contentOf, inPieces } from '../../conformance/streams.ts';
import { type HttpFault, type HttpFaults, startHttpFaults } from '../../support/http-faults.ts';
import { type S3Server, startS3Server } from '../../support/versitygw.ts';
import { type Entry, openS3Store, openUploadsOf } from './s3-place.ts';

const signal = new AbortController().signal;
const small = Buffer.from('a small object');
const big = Buffer.alloc(20 * 1024 * 1024, 5);
const put = /^PUT [^?]*\/key(\?x-id=PutObject)?$/;
const putPart = /^PUT .*partNumber=2/;

let server: S3Server;
let faults: HttpFaults;
let store: Store;
let files: FileStore;
/** The same store without faults. */
let truth: FileStore;

beforeAll(async () => {
  server = await startS3Server(inject('versitygw'));
  faults = await startHttpFaults(server.endpoint);
  store = openS3Store(server, { endpoint: faults.endpoint });
  files = requireCapability(store, 'files');
  truth = requireCapability(openS3Store(server), 'files');
});
afterEach(() => faults.heal());
afterAll(async () => {
  await store.close();
  await faults.close();
  await server.stop();
});

const write = async (content: Buffer, to = files): Promise<void> => {
  await to.write('a/key', inPieces(content), { signal });
};

async function expectNothingVisible(): Promise<void> {
  expect(await truth.stat('a/key')).toBeNull();
  for await (const { key } of truth.list('')) expect(key).toBe('nothing');
  expect(await openUploadsOf(server, '')).toEqual([]);
}

const answers: readonly (readonly [number, string, string])[] = [
  [500, 'InternalError', 'store.connectionLost'],
  [503, 'SlowDown', 'store.slowDown'],
  [503, 'ServiceUnavailable', 'store.slowDown'],
  [403, 'AccessDenied', 'store.permission'],
  [403, 'InvalidAccessKeyId', 'store.authentication'],
  [403, 'SignatureDoesNotMatch', 'store.authentication'],
  [507, 'XMinioStorageFull', 'store.diskFull'],
];

describe('a server that answers with an error', () => {
  const places: readonly (readonly [string, RegExp, Buffer])[] = [
    ['a small object', put, small],
    ['the beginning of a big one', /^POST .*\?uploads/, big],
    ['a part of a big one', putPart, big],
    ['the end of a big one', /^POST .*uploadId=/, big],
  ];
  const cases = answers.flatMap(([status, name, code]) =>
    places.map(([place, on, content]) => ({ status, name, code, place, on, content })),
  );

  it.each(cases)(
    '$status $name to $place is $code, and nothing is visible',
    async ({ status, name, code, on, content }) => {
      faults.fail({ on, fault: { status, code: name } });
      await expect(write(content)).rejects.toMatchObject({ code, details: { store: 'vault' } });
      expect(faults.met).toBeGreaterThan(0);
      await expectNothingVisible();
    },
  );

  it.each(answers)(
    '%i %s to a read, a list, a removal and a sweep has the same code',
    async (status, name, code) => {
      faults.fail({ on: /./, fault: { status, code: name } });
      const failing = { code };
      await expect(files.read('a/key', { signal })).rejects.toMatchObject(failing);
      await expect(files.list('')[Symbol.asyncIterator]().next()).rejects.toMatchObject(failing);
      await expect(files.remove(['a/key'])).rejects.toMatchObject(failing);
      await expect(files.sweep('', 0)).rejects.toMatchObject(failing);
      await expect(store.check()).rejects.toMatchObject(failing);
    },
  );

  it.each([
    [500, 'store.connectionLost'],
    [503, 'store.slowDown'],
    [403, 'store.permission'],
  ])('%i to a question about an object is %s, although no text comes with it', async (status, code) => {
    faults.fail({ on: /^HEAD /, fault: { status, code: 'unseen' } });
    await expect(files.stat('a/key')).rejects.toMatchObject({ code });
  });

  it('an error that comes with status 200 at the end of a big object is an error', async () => {
    faults.fail({ on: /^POST .*uploadId=/, fault: { status: 200, code: 'InternalError' } });
    await expect(write(big)).rejects.toMatchObject({ code: 'store.connectionLost' });
    await expectNothingVisible();
  });

  it.each([
    ['a small object', put, small],
    ['a part', putPart, big],
  ])('one hiccup at %s is tried again here, and the object is whole', async (_what, on, content) => {
    faults.fail({ on, fault: { status: 500, code: 'InternalError' }, times: 1 });
    await write(content);
    expect(faults.met).toBe(1);
    expect((await contentOf(await truth.read('a/key', { signal }))).equals(content)).toBe(true);
    await truth.remove(['a/key']);
  });

  it('an upload that could not be taken back is swept later', async () => {
    faults.fail({ on: /partNumber=2|^DELETE /, fault: { status: 500, code: 'InternalError' } });
    await expect(write(big)).rejects.toMatchObject({ code: 'store.connectionLost' });
    expect(await openUploadsOf(server, '')).toHaveLength(1);
    faults.heal();
    expect(await files.sweep('', 3_600_000)).toBe(0);
    expect(await files.sweep('', 0)).toBe(1);
    await expectNothingVisible();
  });

  it('an object that was there stays as it was', async () => {
    await write(small, truth);
    faults.fail({ on: /^(PUT|POST) /, fault: { status: 503, code: 'SlowDown' } });
    for (const content of [Buffer.from('other'), big]) {
      await expect(write(content)).rejects.toMatchObject({ code: 'store.slowDown' });
    }
    expect((await contentOf(await truth.read('a/key', { signal }))).equals(small)).toBe(true);
    await truth.remove(['a/key']);
  });
});

describe('a connection that breaks', () => {
  const breaks: readonly { what: string; on: RegExp; content: Buffer; fault: HttpFault }[] = [
    {
      what: 'a small object',
      on: put,
      content: big.subarray(0, 1_000_000),
      fault: { breakUpAfter: 100_000 },
    },
    { what: 'a part', on: putPart, content: big, fault: { breakUpAfter: 1_000_000 } },
    { what: 'the first part', on: /partNumber=1/, content: big, fault: { breakUpAfter: 1 } },
  ];

  it.each(breaks)(
    'in the middle of $what is store.connectionLost, and nothing is visible',
    async ({ on, content, fault }) => {
      faults.fail({ on, fault });
      await expect(write(content)).rejects.toMatchObject({ code: 'store.connectionLost' });
      expect(faults.met).toBeGreaterThan(0);
      await expectNothingVisible();
    },
  );

  it('in the middle of a read fails the stream with store.connectionLost: it does not end short', async () => {
    await write(big, truth);
    faults.fail({ on: /^GET /, fault: { breakDownAfter: 5_000_000 } });
    const body = await files.read('a/key', { signal });
    await expect(contentOf(body)).rejects.toMatchObject({ code: 'store.connectionLost' });
    faults.heal();
    expect((await contentOf(await files.read('a/key', { signal }))).equals(big)).toBe(true);
    await truth.remove(['a/key']);
  });

  it('by the end of the store ends what is under way with store.connectionLost', async () => {
    await write(big, truth);
    const other = openS3Store(server);
    const body = await requireCapability(other, 'files').read('a/key', { signal });
    await other.close();
    await expect(contentOf(body)).rejects.toMatchObject({ code: 'store.connectionLost' });
    await expect(other.check()).rejects.toMatchObject({ code: 'store.connectionLost' });
    await truth.remove(['a/key']);
  });
});

describe('a store that is set up wrongly', () => {
  const wrong: readonly (readonly [string, Entry, string])[] = [
    ['an unknown access key', { accessKeyId: 'nobodysaccesskey' }, 'store.authentication'],
    ['a wrong secret', { secretAccessKey: 'nobodys-secret-text' }, 'store.authentication'],
    ['a bucket that does not exist', { bucket: 'nowhere' }, 'files.missing'],
    ['a port where nobody listens', { endpoint: 'http://127.0.0.1:9' }, 'store.unreachable'],
    ['a host that does not exist', { endpoint: 'http://nowhere.invalid:9000' }, 'store.unreachable'],
  ];

  it.each(wrong)('%s shows at once, without a key in the message', async (_what, entry, code) => {
    const faulty = openS3Store(server, entry);
    const error: unknown = await faulty.check().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    const shown = `${String(error)} ${JSON.stringify(error)}`;
    for (const secret of [
      server.accessKeyId,
      server.secretAccessKey,
      'nobodysaccesskey',
      'nobodys-secret-text',
    ]) {
      expect(shown).not.toContain(secret);
    }
    await faulty.close();
  });
});
