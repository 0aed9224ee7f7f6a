import { Command, InvalidArgumentError } from 'commander';
import { skipUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { control } from '../control.ts';

interface SkipOptions {
  readonly unit?: number;
}

export function skipCommand(): Command {
  return new Command('skip')
    .description('Set failing chunks aside as dead letters and go on; `retry` loads them later.')
    .argument('<job>', 'name of the job')
    .option('--unit <ordinal>', 'only this one, by its number in `syncline chunks`', ordinal)
    .action(
      withContext(async (context, name: string, { unit }: SkipOptions) =>
        control(context, name, { update: skipUpdate, args: [{ unit: unit ?? 'failing' }] }),
      ),
    );
}

function ordinal(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1');
}
