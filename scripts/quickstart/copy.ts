import { nextStepsOf, syncline } from './next-steps.ts';
import { runCli } from './processes.ts';
import { compareSides, type Finished, setScene, type Surroundings } from './scene.ts';

const job = { file: 'examples/copy.yaml', name: 'trades-to-dr' };

/** From nothing to a copied and checked table. */
export async function copyQuickstart(surroundings: Surroundings): Promise<Finished> {
  const { say, quiet } = surroundings;
  const scene = await setScene(surroundings);
  const { workspace, worker } = scene;
  say(`Submitting ${job.file} …`);
  const status = await runCli(['run', job.file, '--wait', '--config', workspace.config], workspace, quiet);
  const result = await compareSides(scene, { kind: 'copy', name: job.name, status }, say);
  const { config } = workspace;
  const nextSteps = nextStepsOf(scene, result, [
    `${syncline} status ${job.name} --config ${config}`,
    `${syncline} chunks ${job.name} --config ${config}`,
    `${syncline} run ${job.file} --config ${config}     # again: each partition is replaced at once`,
    `${syncline} worker --config ${config}     # a second worker; then run again, and meanwhile`,
    `kill -9 ${worker.pid}     # end the first one: nothing is lost, nothing is doubled`,
  ]);
  return { result, nextSteps };
}
