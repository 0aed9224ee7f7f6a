import type { Payload } from '@temporalio/common';
import { defaultPayloadConverter } from '@temporalio/common';
import type { JobInput } from '../../definitions/contracts/jobs.ts';
import type { TemporalAccess } from '../connection.ts';
import { describeExisting, type JobAddress } from './job-address.ts';
import { notFound } from './temporal-errors.ts';

export interface Start {
  readonly input: JobInput;
  readonly taskQueue: string;
}

/**
 * What the latest run was started with, and where: from its history, so no file is needed, and an operator at another
 * site starts it again where it ran.
 */
export async function latestStart(access: TemporalAccess, address: JobAddress): Promise<Start> {
  const { runId, taskQueue } = await describeExisting(access, address);
  const { history } = await access.connection.workflowService.getWorkflowExecutionHistory({
    namespace: access.target.namespace,
    execution: { workflowId: address.workflowId, runId },
    maximumPageSize: 1,
  });
  const attributes = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
  const payload = attributes?.input?.payloads?.[0] as Payload | undefined;
  if (payload === undefined) throw notFound(address.name, access.target);
  return { input: defaultPayloadConverter.fromPayload<JobInput>(payload), taskQueue };
}
