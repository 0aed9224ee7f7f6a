/** The bundle's entry: every export is a workflow type, and its name is a contract (definitions/contracts/names.ts). */
export { backupRestore } from './backup-restore.ts';
export { copy } from './copy.ts';
export { duplication } from './duplication.ts';
export { launch } from './launch.ts';
