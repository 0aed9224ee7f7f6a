import { describeFiles } from '../../conformance/describe-files.ts';
import { openDirectoryPlace } from './directory-place.ts';

describeFiles({ name: 'directory', open: openDirectoryPlace });
