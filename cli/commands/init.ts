import { existsSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { SynclineError } from '../../definitions/errors.ts';
import { jobJsonSchema } from '../../definitions/json-schema.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { firstBackupFile, firstJobFile, firstStoresFile } from '../first-files.ts';

interface InitOptions {
  readonly force?: boolean;
}

export function initCommand(): Command {
  return new Command('init')
    .description(
      'Write a commented syncline.yaml, a first job file of each kind and the schema for editors into this folder.',
    )
    .option('--force', 'write over files that are there')
    .action(withContext(init));
}

function init({ output }: CommandContext, { force }: InitOptions): CommandResult {
  const files = new Map([
    ['syncline.yaml', firstStoresFile],
    ['copy.yaml', firstJobFile],
    ['backup-restore.yaml', firstBackupFile],
    ['syncline.schema.json', `${JSON.stringify(jobJsonSchema(), null, 2)}\n`],
  ]);
  const inTheWay = [...files.keys()].filter((name) => existsSync(name));
  if (inTheWay.length > 0 && force !== true) {
    throw new SynclineError(
      'definition.invalid',
      `Nothing was written: ${inTheWay.join(', ')} exist here; \`--force\` writes over them.`,
    );
  }
  for (const [name, text] of files) writeFileSync(name, text);
  output.value({ written: [...files.keys()] });
  output.line(`Wrote ${[...files.keys()].join(', ')}.`);
  output.line('Next: put your servers into syncline.yaml and your table into copy.yaml, then');
  output.line('  syncline dev               in one terminal: Temporal, its UI and a worker');
  output.line('  syncline plan copy.yaml    in another: checks everything, writes nothing');
  output.line('  syncline run copy.yaml --wait');
  return Promise.resolve(0);
}
