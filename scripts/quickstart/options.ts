import { parseArgs } from 'node:util';

const quickstartKinds = ['copy', 'backup-restore', 'duplication'] as const;
export type QuickstartKind = (typeof quickstartKinds)[number];

export interface QuickstartOptions {
  readonly kind: QuickstartKind;
  /** End after the check instead of staying up. */
  readonly exit: boolean;
  /** Print one JSON object as the last line; what is said on the way goes to standard error. */
  readonly json: boolean;
}

const usage = 'Usage: npm run quickstart -- [copy|backup-restore|duplication] [--exit] [--json]';

export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): QuickstartOptions {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { exit: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    });
    const [word = 'copy', ...rest] = positionals;
    const kind = quickstartKinds.find((one) => one === word);
    if (kind === undefined || rest.length > 0)
      throw new Error(`There is no quickstart "${positionals.join(' ')}".`);
    return { kind, exit: values.exit, json: values.json };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${reason}\n${usage}`);
  }
}
