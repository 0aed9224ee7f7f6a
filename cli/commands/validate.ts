import { Command } from 'commander';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { InvalidJobFiles, readJobFiles, type SubmittableJob } from '../job-files.ts';
import { plural } from '../render/amounts.ts';

export function validateCommand(): Command {
  return new Command('validate')
    .description('Check job files, without connecting to anything; `-` is the standard input.')
    .argument('<file...>', 'job files')
    .action(withContext(validate));
}

function validate({ output }: CommandContext, files: string[]): CommandResult {
  let jobs: SubmittableJob[];
  try {
    jobs = readJobFiles(files);
  } catch (error) {
    if (!output.json || !(error instanceof InvalidJobFiles)) throw error;
    output.value({ valid: false, jobs: [], diagnostics: error.diagnostics });
    return Promise.resolve(exitCodes.usage);
  }
  const names = jobs.map(({ file, job, definitionHash }) => ({
    file,
    kind: job.kind,
    name: job.name,
    definitionHash,
  }));
  output.value({ valid: true, jobs: names, diagnostics: [] });
  for (const { file, kind, name } of names) output.line(`${file}: ${kind}/${name} is valid`);
  output.line(`${plural(jobs.length, 'job')}, no errors`);
  return Promise.resolve(exitCodes.done);
}
