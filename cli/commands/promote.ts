import { Command } from 'commander';
import { promoteUpdate } from '../../workflows/messages.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { report, runningQueue, sendUpdate } from '../control.ts';
import { untilLinksEnd } from '../ended-links.ts';
import { findDuplication, linkInput, type LinkOption, linkOption } from '../link-option.ts';

interface PromoteOptions extends LinkOption {
  readonly detach?: boolean;
}

export function promoteCommand(): Command {
  return new Command('promote')
    .description(
      'Make a target of a duplication stand on its own: its log is followed to the end, sequences are set, the link ends. ' +
        'Refused before it is consistent; stop writing to the source first.',
    )
    .argument('<job>', 'name of the job')
    .option(...linkOption)
    .option('--detach', 'do not wait until it is done')
    .action(withContext(promote));
}

async function promote(context: CommandContext, name: string, options: PromoteOptions): CommandResult {
  const access = await context.temporal();
  const address = await findDuplication(access, name);
  const taskQueue = await runningQueue(access, address);
  const answer = await sendUpdate(access, address, {
    update: promoteUpdate,
    args: [linkInput(options)],
    taskQueue,
  });
  if (options.detach === true) {
    report(context, address, answer);
    return 0;
  }
  context.output.note(answer.message);
  const ended = await untilLinksEnd(access, address, { phase: 'done', ...linkInput(options) });
  report(context, address, { message: `promoted: ${ended.join(', ')}` });
  return 0;
}
