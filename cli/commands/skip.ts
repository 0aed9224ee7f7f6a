import { Command, InvalidArgumentError } from 'commander';
import { skipUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { control } from '../control.ts';
import { linkInput, type LinkOption, linkOption } from '../link-option.ts';

interface SkipOptions extends LinkOption {
  readonly unit?: number;
}

export function skipCommand(): Command {
  return new Command('skip')
    .description(
      'Set failing chunks, or failing transactions of a log, aside as dead letters and go on; `retry` takes them up later.',
    )
    .argument('<job>', 'name of the job')
    .option('--unit <ordinal>', 'only this chunk, by its number in `syncline chunks`', ordinal)
    .option(...linkOption)
    .action(
      withContext(async (context, name: string, options: SkipOptions) => {
        const { unit = 'failing' } = options;
        return control(context, name, { update: skipUpdate, args: [{ unit, ...linkInput(options) }] });
      }),
    );
}

function ordinal(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1');
}
