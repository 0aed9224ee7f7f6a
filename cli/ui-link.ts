import type { TemporalTarget } from '../worker/connection.ts';
import type { JobAddress } from '../worker/jobs/job-address.ts';

const cloud = /\.(tmprl\.cloud|api\.temporal\.io)(:\d+)?$/;

/** TEMPORAL_UI_URL, else Temporal Cloud's own, else the port that a local server's UI has by custom. */
export function uiBase({ address }: TemporalTarget): string {
  const given = process.env['TEMPORAL_UI_URL'];
  if (given !== undefined && given !== '') return given.replace(/\/+$/, '');
  if (cloud.test(address)) return 'https://cloud.temporal.io';
  const host = address.slice(0, address.lastIndexOf(':')).replace(/^(127\.0\.0\.1|\[::1\])$/, 'localhost');
  return `http://${host}:8233`;
}

export function uiLink(target: TemporalTarget, { workflowId }: JobAddress, runId?: string): string {
  const path = `/namespaces/${encodeURIComponent(target.namespace)}/workflows/${encodeURIComponent(workflowId)}`;
  return `${uiBase(target)}${path}${runId === undefined ? '' : `/${runId}/history`}`;
}
