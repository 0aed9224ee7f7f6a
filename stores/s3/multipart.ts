import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompletedPart,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { SynclineError } from '../../definitions/errors.ts';
import type { Bucket } from './bucket.ts';
import type { Part } from './parts.ts';

/** Parts on their way at a time, beside the one that is being filled. */
const partsAtOnce = 2;
const mostParts = 10_000;
/** The server may have to put the parts together before it answers. */
const completeBytes = 64 * 1024 * 1024;

/** How long a write that is given up waits for the server: less than a heartbeat's time-out. */
const patienceMs = 5_000;

export interface Upload {
  readonly key: string;
  readonly signal: AbortSignal;
}

/** The parts become one object, visible when all of them are there; after a failure the server keeps none of them. */
export async function uploadParts(
  bucket: Bucket,
  { key, signal }: Upload,
  parts: AsyncIterable<Part>,
): Promise<number> {
  const patience = new Patience(signal);
  try {
    const id = await create(bucket, { key, signal: patience.signal });
    try {
      signal.throwIfAborted();
      const upload = { key, id, signal: patience.signal };
      const sent = await sendAll(bucket, upload, parts);
      signal.throwIfAborted();
      await complete(bucket, upload, sent.parts);
      return sent.bytes;
    } catch (error) {
      await takeBack(bucket, { key, id });
      throw error;
    }
  } finally {
    patience.end();
  }
}

/**
 * An abort does not cut a request off at once. Only its answer says that the server is done with it: a part that it
 * still writes would outlive the end of the upload, and of an upload that it has just opened only it knows the id.
 */
class Patience {
  private readonly cut = new AbortController();
  private readonly given: AbortSignal;
  private timer: NodeJS.Timeout | null = null;

  constructor(given: AbortSignal) {
    this.given = given;
    given.addEventListener('abort', this.onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.cut.signal;
  }

  end(): void {
    this.given.removeEventListener('abort', this.onAbort);
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private readonly onAbort = (): void => {
    this.timer = setTimeout(() => this.cut.abort(), patienceMs);
  };
}

async function sendAll(bucket: Bucket, upload: OpenUpload, parts: AsyncIterable<Part>): Promise<Sent> {
  const sending = new Set<Promise<void>>();
  const done: CompletedPart[] = [];
  let bytes = 0;
  try {
    for await (const part of parts) {
      if (part.number > mostParts) throw tooLong(bucket, upload.key);
      bytes += part.content.length;
      const sent: Promise<void> = send(bucket, upload, part).then((completed) => {
        done.push(completed);
        sending.delete(sent);
      });
      // A failure shows where it is waited for; until then it must not count as unhandled.
      sent.catch(() => undefined);
      sending.add(sent);
      if (sending.size >= partsAtOnce) await Promise.race(sending);
    }
    await Promise.all(sending);
  } finally {
    await Promise.allSettled(sending);
  }
  return { parts: done, bytes };
}

interface Sent {
  readonly parts: readonly CompletedPart[];
  readonly bytes: number;
}

/** Again until the server knows nothing of it: what it had not quite written may come after the first time. */
async function takeBack(bucket: Bucket, { key, id }: Omit<OpenUpload, 'signal'>): Promise<void> {
  const deadline = AbortSignal.timeout(patienceMs);
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const known = await abortUpload(bucket, { key, id }, deadline).catch(() => false);
    if (!known) return;
  }
}

/** Ends an open upload; false when there was none of that id any more. */
export async function abortUpload(
  bucket: Bucket,
  { key, id }: { readonly key: string; readonly id: string },
  signal?: AbortSignal,
): Promise<boolean> {
  return await bucket.ask({ key, ...(signal === undefined ? {} : { signal }) }, async (client, sending) => {
    const input = { Bucket: bucket.name, Key: bucket.nameOf(key), UploadId: id };
    try {
      await client.send(new AbortMultipartUploadCommand(input), sending);
      return true;
    } catch (error) {
      if (error instanceof Error && error.name === 'NoSuchUpload') return false;
      throw error;
    }
  });
}

interface OpenUpload extends Upload {
  readonly id: string;
}

async function create(bucket: Bucket, { key, signal }: Upload): Promise<string> {
  const input = { Bucket: bucket.name, Key: bucket.nameOf(key) };
  const { UploadId } = await bucket.ask(
    { key, signal },
    async (client, sending) => await client.send(new CreateMultipartUploadCommand(input), sending),
  );
  if (UploadId !== undefined) return UploadId;
  throw new SynclineError('store.unsupported', `Store ${bucket.store}: the server gave an upload no id.`, {
    details: { store: bucket.store },
  });
}

async function send(bucket: Bucket, { key, signal, id }: OpenUpload, part: Part): Promise<CompletedPart> {
  const command = new UploadPartCommand({
    Bucket: bucket.name,
    Key: bucket.nameOf(key),
    UploadId: id,
    PartNumber: part.number,
    Body: part.content,
    ContentLength: part.content.length,
  });
  const { ETag } = await bucket.ask(
    { key, signal, bytes: part.content.length },
    async (client, sending) => await client.send(command, sending),
  );
  return { PartNumber: part.number, ...(ETag === undefined ? {} : { ETag }) };
}

async function complete(
  bucket: Bucket,
  { key, signal, id }: OpenUpload,
  parts: readonly CompletedPart[],
): Promise<void> {
  const inOrder = [...parts].sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  const command = new CompleteMultipartUploadCommand({
    Bucket: bucket.name,
    Key: bucket.nameOf(key),
    UploadId: id,
    MultipartUpload: { Parts: inOrder },
  });
  await bucket.ask(
    { key, signal, bytes: completeBytes },
    async (client, sending) => await client.send(command, sending),
  );
}

function tooLong(bucket: Bucket, key: string): SynclineError {
  return new SynclineError(
    'store.unsupported',
    `Store ${bucket.store}: ${key} is longer than S3 takes from a stream whose size is not known before.`,
    { details: { store: bucket.store } },
  );
}
