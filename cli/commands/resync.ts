import { Command } from 'commander';
import { resyncUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { controlLinks } from '../control.ts';
import { linkInput, type LinkOption, linkOption } from '../link-option.ts';

export function resyncCommand(): Command {
  return new Command('resync')
    .description(
      'Load a table of a duplication again, or everything, chunk by chunk, while the log goes on; chunks that are equal are not written.',
    )
    .argument('<job>', 'name of the job')
    .argument('[table]', 'a table, or a chunk by its name in `syncline chunks` (default: everything)')
    .option(...linkOption)
    .action(
      withContext(async (context, name: string, ...[table, options]: [string | undefined, LinkOption]) => {
        const what = table === undefined ? {} : { table };
        return controlLinks(context, name, {
          update: resyncUpdate,
          args: [{ ...what, ...linkInput(options) }],
        });
      }),
    );
}
