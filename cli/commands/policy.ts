import { Command, InvalidArgumentError, Option } from 'commander';
import type { FailMode } from '../../definitions/contracts/job.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { setPolicyUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { control } from '../control.ts';
import { linkInput, type LinkOption, linkOption } from '../link-option.ts';

interface PolicyOptions extends LinkOption {
  readonly mode?: FailMode;
  readonly attempts?: number;
  readonly parallel?: number;
}

export function policyCommand(): Command {
  return new Command('policy')
    .description('Change how a running job fails and how much it does at once; the job file stays as it is.')
    .argument('<job>', 'name of the job')
    .addOption(new Option('--mode <mode>', 'what follows on failure').choices(['slow', 'skip', 'stop']))
    .option('--attempts <number>', 'tries of a chunk before `skip` or `stop` acts', fromOne)
    .option('--parallel <number>', 'chunks in flight at a time, over all workers', fromOne)
    .option(...linkOption)
    .action(
      withContext(async (context, name: string, options: PolicyOptions) => {
        const { mode, attempts, parallel } = options;
        if (mode === undefined && attempts === undefined && parallel === undefined)
          throw new SynclineError(
            'definition.invalid',
            'Name at least one of --mode, --attempts, --parallel.',
          );
        const policy = {
          ...(mode === undefined ? {} : { mode }),
          ...(attempts === undefined ? {} : { attempts }),
          ...(parallel === undefined ? {} : { parallel }),
          ...linkInput(options),
        };
        return control(context, name, { update: setPolicyUpdate, args: [policy] });
      }),
    );
}

function fromOne(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1');
}
