import type { ActivityOptions } from '@temporalio/workflow';
import type {
  BatchPage,
  ListBatchesInput,
  LoadUnitsInput,
  LoadUnitsResult,
  SkipUnitInput,
} from '../definitions/contracts/copy.ts';
import { moving, reading, writing } from './proxies.ts';

/** What a pass over a plan calls, whatever its units are. */
export interface BatchCalls {
  list(options: ActivityOptions, input: ListBatchesInput): Promise<BatchPage>;
  load(options: ActivityOptions, input: LoadUnitsInput): Promise<LoadUnitsResult>;
  finishChunk(options: ActivityOptions, input: LoadUnitsInput): Promise<LoadUnitsResult>;
  skip(options: ActivityOptions, input: SkipUnitInput): Promise<void>;
}

/** Units are chunks and slices: rows. */
export const loadCalls: BatchCalls = {
  list: (options, input) => reading.listBatches.executeWithOptions(options, [input]),
  load: (options, input) => moving.loadUnits.executeWithOptions(options, [input]),
  finishChunk: (options, input) => moving.finishChunk.executeWithOptions(options, [input]),
  skip: (options, input) => writing.skipUnit.executeWithOptions(options, [input]),
};

/** Units are objects of a backup: bytes. */
export const transferCalls: BatchCalls = {
  ...loadCalls,
  load: (options, input) => moving.transferObjects.executeWithOptions(options, [input]),
};
