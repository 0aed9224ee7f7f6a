import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type {
  ControlAnswer,
  PauseInput,
  RetryInput,
  SetPolicyInput,
  SkipInput,
} from '../definitions/contracts/control.ts';
import { messageNames } from '../definitions/contracts/names.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';

/**
 * What a running job can be told and asked. The command line imports this file and nothing else of workflows/.
 * A refused Update fails with type `job.refused` and leaves no trace in the history.
 */
export const pauseUpdate = defineUpdate<ControlAnswer, [PauseInput]>(messageNames.pause);
export const resumeUpdate = defineUpdate<ControlAnswer>(messageNames.resume);
export const skipUpdate = defineUpdate<ControlAnswer, [SkipInput]>(messageNames.skip);
export const retryUpdate = defineUpdate<ControlAnswer, [RetryInput]>(messageNames.retry);
export const removeUpdate = defineUpdate<ControlAnswer>(messageNames.remove);
export const setPolicyUpdate = defineUpdate<ControlAnswer, [SetPolicyInput]>(messageNames.setPolicy);
export const statusQuery = defineQuery<JobStatus>(messageNames.status);
