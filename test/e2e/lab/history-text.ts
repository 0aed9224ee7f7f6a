import type { JobRun } from './job-run.ts';

/** Everything that the server holds of a run, payloads as text. */
export async function historyOf({ access, workflowId }: JobRun): Promise<string> {
  const handle = access.client.workflow.getHandle(workflowId);
  const [history, { raw }] = [await handle.fetchHistory(), await handle.describe()];
  return [...textsIn(history), ...textsIn(raw)].join('\n');
}

function textsIn(value: unknown): string[] {
  if (value instanceof Uint8Array) return [Buffer.from(value).toString('utf8')];
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...textsIn(inner)]);
}
