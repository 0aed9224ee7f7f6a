import { afterAll, beforeAll, inject } from 'vitest';
import { type S3Server, startS3Server } from '../../support/versitygw.ts';
import { describeFiles } from '../../conformance/describe-files.ts';
import { openS3Place } from './s3-place.ts';

let server: S3Server;
let places = 0;

beforeAll(async () => {
  server = await startS3Server(inject('versitygw'));
});
afterAll(() => server.stop());

describeFiles({
  name: 's3',
  open: () => {
    places += 1;
    return Promise.resolve(openS3Place(server, `place${String(places)}`));
  },
});
