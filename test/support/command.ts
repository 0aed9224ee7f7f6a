import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** Set by the setup of the e2e tests for every process under it. */
export const builtCommand = 'SYNCLINE_TEST_COMMAND';

/**
 * Node's arguments that stand for `syncline`, from any folder: the program as it is built, or from its sources where nobody
 * has built it. Hundreds of processes are started, and from the sources each takes a second of the machine longer.
 */
export function commandLine(...words: readonly string[]): string[] {
  const built = process.env[builtCommand];
  const main =
    built === undefined || built === '' ? ['--import', import.meta.resolve('tsx'), source] : [built];
  return [...main, ...words];
}
