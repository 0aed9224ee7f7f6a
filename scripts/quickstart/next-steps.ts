import type { QuickstartResult, Scene } from './scene.ts';

export const syncline = 'npm run --silent syncline --';

/** What to try while the servers are up: lines for a shell. */
export function nextStepsOf(
  { workspace }: Scene,
  result: QuickstartResult,
  lines: readonly string[],
): string {
  const commands = [
    `source ${workspace.envFile}`,
    ...lines,
    `${syncline} doctor --config ${workspace.config}`,
    `psql "$DR_URL" -c 'SELECT * FROM public.trades LIMIT 5'     # if psql is installed`,
  ];
  return [
    '',
    `The history of the job:  ${result.uiUrl}`,
    '',
    'Everything stays up until Ctrl-C. In a second terminal, here:',
    ...commands.map((command) => `  ${command}`),
    '',
    `The worker's log: ${workspace.workerLog}`,
    '',
  ].join('\n');
}
