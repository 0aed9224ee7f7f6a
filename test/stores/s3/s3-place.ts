import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { s3Module } from '../../../stores/s3/module.ts';
import type { Store } from '../../../stores/spi/store.ts';
import type { FilesPlace } from '../../conformance/describe-files.ts';
import type { S3Server } from '../../support/versitygw.ts';

export type Entry = Record<string, unknown>;

/** As syncline.yaml would name it. */
export function openS3Store(server: S3Server, other: Entry = {}): Store {
  const { endpoint, bucket, accessKeyId, secretAccessKey } = server;
  const entry = { kind: 's3', endpoint, bucket, accessKeyId, secretAccessKey, prefix: 'trades/', ...other };
  return s3Module.open('vault', s3Module.settings.parse(entry));
}

/** A store on the server; its prefix keeps it apart from the others there. */
export function openS3Place(server: S3Server, prefix: string): FilesPlace {
  const client = clientOf(server);
  const { bucket: Bucket } = server;
  return {
    store: openS3Store(server, { prefix }),
    async abandon(key) {
      const Key = `${prefix}/${key}`;
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      await client.send(
        new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: Buffer.from('half of it') }),
      );
    },
    leftovers: () => openUploadsOf(server, `${prefix}/`),
    dispose() {
      client.destroy();
      return Promise.resolve();
    },
  };
}

export async function openUploadsOf(server: S3Server, prefix: string): Promise<string[]> {
  const client = clientOf(server);
  try {
    const { Uploads } = await client.send(
      new ListMultipartUploadsCommand({ Bucket: server.bucket, Prefix: prefix }),
    );
    return (Uploads ?? []).map(({ Key }) => `open upload ${Key ?? '?'}`);
  } finally {
    client.destroy();
  }
}

function clientOf({ endpoint, accessKeyId, secretAccessKey }: S3Server): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
}
