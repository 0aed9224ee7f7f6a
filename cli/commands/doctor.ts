import { Command } from 'commander';
import { type CommandContext, type CommandResult, withContext } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { type Finding, checkStores, checkTemporal } from '../health-checks.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Check configuration, Temporal, workers and every store; for each failure, what cures it.')
    .action(withContext(doctor));
}

async function doctor(context: CommandContext): CommandResult {
  const findings = [...(await checkTemporal(context)), ...(await checkStores(context))];
  context.output.value({ ok: findings.every(({ ok }) => ok), checks: findings });
  for (const line of findings.flatMap(lines)) context.output.line(line);
  return findings.every(({ ok }) => ok) ? exitCodes.done : exitCodes.unreachable;
}

function lines({ ok, warning, what, message, cure }: Finding): string[] {
  const line = `${warning === true ? 'warn' : ok ? 'ok  ' : 'FAIL'}  ${what}: ${message}`;
  return cure === null ? [line] : [line, `      cure: ${cure}`];
}
