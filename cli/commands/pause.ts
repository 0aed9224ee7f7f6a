import { Command } from 'commander';
import { pauseUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { control } from '../control.ts';
import { linkInput, type LinkOption, linkOption } from '../link-option.ts';

interface PauseOptions extends LinkOption {
  readonly reason?: string;
}

export function pauseCommand(): Command {
  return new Command('pause')
    .description(
      'Stop handing out chunks and following the log; what is in flight is given back within 10 seconds. Nothing is lost meanwhile.',
    )
    .argument('<job>', 'name of the job')
    .option('--reason <text>', 'shown in the status')
    .option(...linkOption)
    .action(
      withContext(async (context, name: string, options: PauseOptions) => {
        const reason = options.reason === undefined ? {} : { reason: options.reason };
        return control(context, name, { update: pauseUpdate, args: [{ ...reason, ...linkInput(options) }] });
      }),
    );
}
