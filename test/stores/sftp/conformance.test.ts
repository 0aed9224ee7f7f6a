import { describeFiles } from '../../conformance/describe-files.ts';
import { openFilesPlace } from './sftp-place.ts';

describeFiles({ name: 'sftp', open: () => openFilesPlace() });
