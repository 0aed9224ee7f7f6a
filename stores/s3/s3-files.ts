import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { SynclineError } from '../../definitions/errors.ts';
import {
  expectSafeKey,
  expectSafePrefix,
  type FileKey,
  type FileStat,
  type FileStore,
  isSafeKey,
  type ReadFile,
  type StatFile,
  type WriteFile,
} from '../spi/files.ts';
import type { StoreHealth } from '../spi/store.ts';
import type { StreamsUnderWay } from '../spi/streams.ts';
import type { Bucket } from './bucket.ts';
import { abortUpload, uploadParts } from './multipart.ts';
import { readBody } from './object-reading.ts';
import { cutParts, type Part } from './parts.ts';

const keysPerRemoval = 1000;

export class S3Files implements FileStore {
  private readonly bucket: Bucket;
  private readonly streams: StreamsUnderWay;

  constructor(bucket: Bucket, streams: StreamsUnderWay) {
    this.bucket = bucket;
    this.streams = streams;
  }

  async write(key: FileKey, body: Readable, options: WriteFile): Promise<{ readonly bytes: number }> {
    const { signal } = options;
    return await this.streams.take(body, signal, async (pieces) => {
      expectSafeKey(key);
      const parts = cutParts(pieces, options.bytes);
      const first = await parts.next();
      if (first.done === true) return { bytes: 0 };
      // What fits into one part is one request: nothing is open in between.
      if (!first.value.last) {
        return { bytes: await uploadParts(this.bucket, { key, signal }, following(first.value, parts)) };
      }
      await this.put(key, first.value.content, signal);
      return { bytes: first.value.content.length };
    });
  }

  async read(key: FileKey, { signal, from = 0 }: ReadFile): Promise<Readable> {
    expectSafeKey(key);
    const command = new GetObjectCommand({
      ...this.named(key),
      ...(from === 0 ? {} : { Range: `bytes=${String(from)}-` }),
    });
    const body = await this.bucket.ask({ key, signal }, async (client, sending) => {
      try {
        const { Body, ContentLength } = await client.send(command, sending);
        if (!(Body instanceof Readable)) return Readable.from([]);
        const fault = (error: Error | null): Error =>
          this.bucket.fault(
            error ?? Object.assign(new Error('The answer broke off.'), { code: 'ECONNRESET' }),
            key,
          );
        return readBody(Body, { expected: ContentLength ?? null, fault });
      } catch (error) {
        // Nothing lies beyond the last byte: that is an empty rest, not a fault.
        if (error instanceof Error && error.name === 'InvalidRange') return Readable.from([]);
        throw error;
      }
    });
    return this.streams.give(body, signal);
  }

  async stat(key: FileKey, options: StatFile = {}): Promise<FileStat | null> {
    expectSafeKey(key);
    const { signal } = options;
    const asking = { key, ...(signal === undefined ? {} : { signal }) };
    const found = await this.bucket
      .ask(
        asking,
        async (client, sending) => await client.send(new HeadObjectCommand(this.named(key)), sending),
      )
      .catch(unlessMissing);
    if (found === null) return null;
    return {
      key,
      bytes: found.ContentLength ?? 0,
      changedAt: found.LastModified?.toISOString() ?? null,
      sha256: options.sha256 === true ? await this.hash(key, signal) : null,
    };
  }

  async *list(prefix: string): AsyncIterable<FileStat> {
    expectSafePrefix(prefix);
    let token: string | undefined;
    do {
      const page = await this.page(prefix, token);
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const key = this.bucket.keyOf(Key);
        if (key === null || !isSafeKey(key)) continue;
        yield { key, bytes: Size ?? 0, changedAt: LastModified?.toISOString() ?? null, sha256: null };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async remove(keys: readonly FileKey[]): Promise<void> {
    for (const key of keys) expectSafeKey(key);
    for (let at = 0; at < keys.length; at += keysPerRemoval) {
      const some = keys.slice(at, at + keysPerRemoval);
      const Delete = { Objects: some.map((key) => ({ Key: this.bucket.nameOf(key) })), Quiet: true };
      const { Errors } = await this.bucket.ask(
        {},
        async (client, sending) =>
          await client.send(new DeleteObjectsCommand({ Bucket: this.bucket.name, Delete }), sending),
      );
      const [failed] = (Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey');
      if (failed !== undefined)
        throw this.bucket.fault({ name: failed.Code }, this.bucket.keyOf(failed.Key) ?? undefined);
    }
  }

  async sweep(prefix: string, olderThanMs: number): Promise<number> {
    expectSafePrefix(prefix);
    const now = Date.now();
    let removed = 0;
    let after: Pick<ListMultipartUploadsCommandOutput, 'NextKeyMarker' | 'NextUploadIdMarker'> | null = {};
    while (after !== null) {
      const page: ListMultipartUploadsCommandOutput = await this.openUploads(prefix, after);
      for (const { Key, UploadId: id, Initiated } of page.Uploads ?? []) {
        const key = this.bucket.keyOf(Key);
        const ageMs = Math.max(0, now - (Initiated?.getTime() ?? now));
        if (key === null || id === undefined || !isSafeKey(key) || ageMs < olderThanMs) continue;
        if (await abortUpload(this.bucket, { key, id })) removed += 1;
      }
      after = page.IsTruncated === true && page.NextKeyMarker !== undefined ? page : null;
    }
    return removed;
  }

  async check(): Promise<StoreHealth> {
    const startedAt = performance.now();
    await this.page('', undefined, 1);
    return {
      version: `S3 (${this.bucket.place})`,
      latencyMs: performance.now() - startedAt,
      warnings: [],
    };
  }

  private async put(key: FileKey, content: Buffer, signal: AbortSignal): Promise<void> {
    const command = new PutObjectCommand({
      ...this.named(key),
      Body: content,
      ContentLength: content.length,
    });
    await this.bucket.ask(
      { key, signal, bytes: content.length },
      async (client, sending) => await client.send(command, sending),
    );
  }

  private async page(
    prefix: string,
    token: string | undefined,
    limit = 1000,
  ): Promise<ListObjectsV2CommandOutput> {
    const command = new ListObjectsV2Command({
      Bucket: this.bucket.name,
      Prefix: this.bucket.nameOf(prefix),
      MaxKeys: limit,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    return await this.bucket.ask({}, async (client, sending) => await client.send(command, sending));
  }

  private async openUploads(
    prefix: string,
    after: Pick<ListMultipartUploadsCommandOutput, 'NextKeyMarker' | 'NextUploadIdMarker'>,
  ): Promise<ListMultipartUploadsCommandOutput> {
    const command = new ListMultipartUploadsCommand({
      Bucket: this.bucket.name,
      Prefix: this.bucket.nameOf(prefix),
      KeyMarker: after.NextKeyMarker,
      UploadIdMarker: after.NextUploadIdMarker,
    });
    return await this.bucket.ask({}, async (client, sending) => await client.send(command, sending));
  }

  private async hash(key: FileKey, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const hash = createHash('sha256');
    for await (const piece of (await this.read(key, { signal })) as AsyncIterable<Buffer>) hash.update(piece);
    return hash.digest('hex');
  }

  private named(key: FileKey): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.bucket.name, Key: this.bucket.nameOf(key) };
  }
}

async function* following(first: Part, rest: AsyncIterable<Part>): AsyncGenerator<Part> {
  yield first;
  yield* rest;
}

function unlessMissing(error: unknown): null {
  if (error instanceof SynclineError && error.code === 'files.missing') return null;
  throw error;
}
