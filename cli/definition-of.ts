import type { Payload } from '@temporalio/common';
import { defaultPayloadConverter } from '@temporalio/common';
import type { CopyInput } from '../definitions/contracts/copy.ts';
import type { TemporalAccess } from '../worker/connection.ts';
import { describeExisting, type JobAddress } from './client.ts';
import { notFound } from './temporal-errors.ts';

/** The definition that the latest run was started with: from its history, so no file is needed. */
export async function inputOfLatestRun(access: TemporalAccess, address: JobAddress): Promise<CopyInput> {
  const { runId } = await describeExisting(access, address);
  const { history } = await access.connection.workflowService.getWorkflowExecutionHistory({
    namespace: access.target.namespace,
    execution: { workflowId: address.workflowId, runId },
    maximumPageSize: 1,
  });
  const attributes = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
  const payload = attributes?.input?.payloads?.[0] as Payload | undefined;
  if (payload === undefined) throw notFound(address.name, access.target);
  return defaultPayloadConverter.fromPayload<CopyInput>(payload);
}
