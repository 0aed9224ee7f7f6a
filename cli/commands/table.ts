import { Argument, Command } from 'commander';
import type { SetTableControl } from '../../definitions/contracts/duplication.ts';
import { setTableUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { controlLinks } from '../control.ts';
import { linkInput, type LinkOption, linkOption } from '../link-option.ts';

const states = { pause: 'paused', resume: 'live', remove: 'removed' } as const satisfies Record<
  string,
  SetTableControl['state']
>;

type Order = keyof typeof states;

export function tableCommand(): Command {
  return new Command('table')
    .description(
      'Pause, resume or remove one table of a duplication while the others go on. What a paused table misses waits in the spool on ' +
        'the target; a removed one is not followed any more, and its rows stay.',
    )
    .argument('<job>', 'name of the job')
    .argument('<table>', '`schema.table` at the source')
    .addArgument(new Argument('<order>', 'what to do').choices(Object.keys(states)))
    .option(...linkOption)
    .action(
      withContext(async (context, name: string, ...[table, order, options]: [string, Order, LinkOption]) =>
        controlLinks(context, name, {
          update: setTableUpdate,
          args: [{ table, state: states[order], ...linkInput(options) }],
        }),
      ),
    );
}
