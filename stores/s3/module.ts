import { StreamsUnderWay } from '../spi/streams.ts';
import type { Store, StoreModule } from '../spi/store.ts';
import { Bucket } from './bucket.ts';
import { S3Files } from './s3-files.ts';
import { type S3Settings, s3Settings } from './settings.ts';

/** A bucket of S3, or of any server that speaks its protocol. */
export const s3Module: StoreModule<S3Settings> = { kind: 's3', settings: s3Settings, open: openS3 };

function openS3(name: string, settings: S3Settings): Store {
  const bucket = new Bucket(name, settings);
  const streams = new StreamsUnderWay(name);
  const files = new S3Files(bucket, streams);
  return {
    kind: 's3',
    name,
    capabilities: { files },
    ...(settings.encryption === undefined ? {} : { encryption: settings.encryption }),
    check: () => files.check(),
    close: () => {
      streams.close();
      bucket.close();
      return Promise.resolve();
    },
  };
}
