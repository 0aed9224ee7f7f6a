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
  upload: Upload,
  parts: AsyncIterable<Part>,
): Promise<number> {
  const id = await create(bucket, upload);
  const sending = new Set<Promise<void>>();
  // The parts still on their way are given up with the first that fails.
  const giveUp = new AbortController();
  const signal = AbortSignal.any([upload.signal, giveUp.signal]);
  const done: CompletedPart[] = [];
  let bytes = 0;
  try {
    upload.signal.throwIfAborted();
    for await (const part of parts) {
      if (part.number > mostParts) throw tooLong(bucket, upload.key);
      bytes += part.content.length;
      const sent: Promise<void> = send(bucket, { key: upload.key, signal, id }, part).then((completed) => {
        done.push(completed);
        sending.delete(sent);
      });
      // A failure shows where it is waited for; until then it must not count as unhandled.
      sent.catch(() => undefined);
      sending.add(sent);
      if (sending.size >= partsAtOnce) await Promise.race(sending);
    }
    await Promise.all(sending);
    await complete(bucket, { ...upload, id }, done);
    return bytes;
  } catch (error) {
    giveUp.abort();
    // A part that arrives after the abort would stay, and be paid for.
    await Promise.allSettled(sending);
    const deadline = upload.signal.aborted ? AbortSignal.timeout(patienceMs) : undefined;
    await abortUpload(bucket, { key: upload.key, id }, deadline).catch(() => undefined);
    throw error;
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

/**
 * An abort does not end this request at once: the server may have opened the upload already, and only its answer says
 * under which id, which is needed to take it back.
 */
async function create(bucket: Bucket, { key, signal }: Upload): Promise<string> {
  const input = { Bucket: bucket.name, Key: bucket.nameOf(key) };
  const patience = new AbortController();
  const onAbort = (): void => {
    setTimeout(() => patience.abort(), patienceMs).unref();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const { UploadId } = await bucket.ask(
      { key, signal: patience.signal },
      async (client, sending) => await client.send(new CreateMultipartUploadCommand(input), sending),
    );
    if (UploadId !== undefined) return UploadId;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
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
