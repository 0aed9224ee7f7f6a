import { Command } from 'commander';
import type { VerifyAnswer } from '../../definitions/contracts/duplication.ts';
import { verifyUpdate } from '../../workflows/messages.ts';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { runningQueue, sendLongUpdate } from '../control.ts';
import { exitCodes } from '../exit-codes.ts';
import { findDuplication, linkInput, type LinkOption, linkOption } from '../link-option.ts';
import { verifiedLinkLines } from '../render/links.ts';

interface VerifyOptions extends LinkOption {
  readonly repair?: boolean;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'Compare source and target of a duplication while it runs, chunk by chunk, each at one instant of the source. ' +
        'Ends with 1 when chunks differ and are not repaired.',
    )
    .argument('<job>', 'name of the job')
    .argument('[tables...]', 'tables or chunks to compare (default: all)')
    .option('--repair', 'load the chunks that differ again')
    .option(...linkOption)
    .action(withContext(verify));
}

async function verify(
  context: CommandContext,
  name: string,
  ...[tables, options]: [string[], VerifyOptions]
): CommandResult {
  const { output } = context;
  const access = await context.temporal();
  const address = await findDuplication(access, name);
  const repair = options.repair === true;
  const asked = { ...(tables.length === 0 ? {} : { tables }), ...(repair ? { repair } : {}) };
  const answer: VerifyAnswer = await sendLongUpdate(access, address, {
    update: verifyUpdate,
    args: [{ ...asked, ...linkInput(options) }],
    taskQueue: await runningQueue(access, address),
  });
  output.value({ name: address.name, kind: address.kind, repair, ...answer });
  output.line(`${address.workflowId}: ${answer.message}`);
  for (const link of answer.links) for (const line of verifiedLinkLines(link)) output.line(line);
  const equal = answer.links.every(({ verified }) => verified.different.length === 0);
  return equal || repair ? exitCodes.done : exitCodes.failed;
}
