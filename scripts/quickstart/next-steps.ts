import type { Finished } from './copy.ts';

/** What to try while the servers are up. */
export function nextSteps({ result, workspace, workerPid }: Finished): string {
  const syncline = 'npm run --silent syncline --';
  return [
    '',
    `The history of the job:  ${result.uiUrl}`,
    '',
    'Everything stays up until Ctrl-C. In a second terminal, here:',
    `  source ${workspace.envFile}`,
    `  ${syncline} status trades-to-dr --config ${workspace.config}`,
    `  ${syncline} chunks trades-to-dr --config ${workspace.config}`,
    `  ${syncline} run examples/copy.yaml --config ${workspace.config}     # again: each partition is replaced at once`,
    `  ${syncline} worker --config ${workspace.config}     # a second worker; then run again, and meanwhile`,
    `  kill -9 ${workerPid}     # end the first one: nothing is lost, nothing is doubled`,
    `  ${syncline} doctor --config ${workspace.config}`,
    `  psql "$DR_URL" -c 'SELECT * FROM public.trades LIMIT 5'     # if psql is installed`,
    '',
    `The worker's log: ${workspace.workerLog}`,
    '',
  ].join('\n');
}
