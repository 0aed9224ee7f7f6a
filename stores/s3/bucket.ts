import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { SynclineError } from '../../definitions/errors.ts';
import { s3Error } from './errors.ts';
import type { S3Settings } from './settings.ts';

/** How long a server may be silent: to take a connection, to answer a request without content, to send on. */
const connectMs = 10_000;
export const answerMs = 60_000;
/** A slower line than this (bytes a millisecond) counts as down. */
const slowestRate = 64;

export interface Asking {
  /** The object that is asked for, for errors. */
  readonly key?: string;
  readonly signal?: AbortSignal;
  /** Bytes sent along. */
  readonly bytes?: number;
}

interface Sending {
  readonly abortSignal?: AbortSignal;
  readonly requestTimeout: number;
}

/** One bucket and the connections to it. Keys go in and out without the store's prefix. */
export class Bucket {
  readonly store: string;
  readonly name: string;
  /** For people: where the bucket is. */
  readonly place: string;
  private readonly prefix: string;
  private readonly client: S3Client;
  private closed = false;

  constructor(store: string, settings: S3Settings) {
    this.store = store;
    this.name = settings.bucket;
    this.place = settings.endpoint === undefined ? 'AWS' : new URL(settings.endpoint).host;
    this.prefix = settings.prefix === '' ? '' : `${settings.prefix}/`;
    this.client = new S3Client(clientSettings(settings));
  }

  /** The bucket's own name of an object. */
  nameOf(key: string): string {
    return `${this.prefix}${key}`;
  }

  /** The key of an object of the bucket; null when it lies outside. */
  keyOf(name: string | undefined): string | null {
    return name?.startsWith(this.prefix) === true ? name.slice(this.prefix.length) : null;
  }

  /** One request, its errors translated; an abort ends it with the reason of the abort. */
  async ask<T>(asking: Asking, request: (client: S3Client, sending: Sending) => Promise<T>): Promise<T> {
    const { signal, key, bytes = 0 } = asking;
    this.expectOpen();
    try {
      const requestTimeout = answerMs + Math.ceil(bytes / slowestRate);
      return await request(this.client, {
        requestTimeout,
        ...(signal === undefined ? {} : { abortSignal: signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      this.expectOpen();
      throw this.fault(error, key);
    }
  }

  fault(error: unknown, key?: string): SynclineError {
    return s3Error(error, { store: this.store, bucket: this.name, ...(key === undefined ? {} : { key }) });
  }

  close(): void {
    this.closed = true;
    this.client.destroy();
  }

  private expectOpen(): void {
    if (!this.closed) return;
    throw new SynclineError('store.connectionLost', `Store ${this.store} was closed.`, {
      details: { store: this.store },
    });
  }
}

const nothing = (): void => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

function clientSettings(settings: S3Settings): S3ClientConfig {
  const { endpoint, region, accessKeyId, secretAccessKey, forcePathStyle } = settings;
  return {
    ...(endpoint === undefined ? {} : { endpoint, region: 'us-east-1', forcePathStyle: true }),
    ...(region === undefined ? {} : { region }),
    ...(forcePathStyle === undefined ? {} : { forcePathStyle }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
    // Once more for a hiccup; what lasts longer is tried again by the workflow, which says so.
    maxAttempts: 2,
    // The body's SHA-256 is signed in any case, and servers other than AWS refuse the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    logger: silent,
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: answerMs,
      throwOnRequestTimeout: true,
      // A reader that rests is not a server that is silent: see object-reading.ts.
      socketTimeout: 0,
      httpAgent: { maxSockets: 128 },
      httpsAgent: { maxSockets: 128 },
      logger: silent,
    },
  };
}
