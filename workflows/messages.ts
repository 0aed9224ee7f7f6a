import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type {
  ControlAnswer,
  LinkControlInput,
  PauseInput,
  RemoveInput,
  RetryInput,
  SetPolicyInput,
  SkipInput,
} from '../definitions/contracts/control.ts';
import type {
  ResyncInput,
  SetTableControl,
  VerifyAnswer,
  VerifyControl,
} from '../definitions/contracts/duplication.ts';
import { messageNames } from '../definitions/contracts/names.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';

/**
 * What a running job can be told and asked. The command line imports this file and nothing else of workflows/.
 * A refused Update fails with type `job.refused` and leaves no trace in the history.
 */
export const pauseUpdate = defineUpdate<ControlAnswer, [PauseInput]>(messageNames.pause);
export const resumeUpdate = defineUpdate<ControlAnswer, [LinkControlInput]>(messageNames.resume);
export const skipUpdate = defineUpdate<ControlAnswer, [SkipInput]>(messageNames.skip);
export const retryUpdate = defineUpdate<ControlAnswer, [RetryInput]>(messageNames.retry);
export const removeUpdate = defineUpdate<ControlAnswer, [RemoveInput]>(messageNames.remove);
export const setPolicyUpdate = defineUpdate<ControlAnswer, [SetPolicyInput]>(messageNames.setPolicy);
/** Those from here on are of a duplication only. */
export const promoteUpdate = defineUpdate<ControlAnswer, [LinkControlInput]>(messageNames.promote);
export const resyncUpdate = defineUpdate<ControlAnswer, [ResyncInput]>(messageNames.resync);
export const setTableUpdate = defineUpdate<ControlAnswer, [SetTableControl]>(messageNames.setTable);
export const verifyUpdate = defineUpdate<VerifyAnswer, [VerifyControl]>(messageNames.verify);
export const statusQuery = defineQuery<JobStatus>(messageNames.status);
