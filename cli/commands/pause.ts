import { Command } from 'commander';
import { pauseUpdate } from '../../workflows/messages.ts';
import { withContext } from '../context.ts';
import { control } from '../control.ts';

export function pauseCommand(): Command {
  return new Command('pause')
    .description('Stop handing out chunks; what is in flight is given back within 10 seconds.')
    .argument('<job>', 'name of the job')
    .option('--reason <text>', 'shown in the status')
    .action(
      withContext(async (context, name: string, { reason }: { reason?: string }) =>
        control(context, name, { update: pauseUpdate, args: [reason === undefined ? {} : { reason }] }),
      ),
    );
}
