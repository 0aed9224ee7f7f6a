import { Command } from 'commander';
import { resumeUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { control } from '../control.ts';
import { linkInput, type LinkOption, linkOption } from '../link-option.ts';

export function resumeCommand(): Command {
  return new Command('resume')
    .description('Go on after a pause, or after fail mode `stop` acted.')
    .argument('<job>', 'name of the job')
    .option(...linkOption)
    .action(
      withContext(async (context, name: string, options: LinkOption) =>
        control(context, name, { update: resumeUpdate, args: [linkInput(options)] }),
      ),
    );
}
