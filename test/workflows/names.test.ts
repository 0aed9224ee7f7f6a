import { describe, expect, it } from 'vitest';
import { messageNames, workflowTypes } from '../../definitions/contracts/names.ts';
import * as workflows from '../../workflows/index.ts';
import * as messages from '../../workflows/messages.ts';
import { FakeDuplication } from '../support/fake-duplication-activities.ts';
import { FakeCopy, wholeChunks } from '../support/fake-copy-activities.ts';

/** Running jobs and their histories know these names: one may be added, none changed. */
describe('names on the wire', () => {
  it('workflow types are what the bundle exports', () => {
    expect(Object.keys(workflows).toSorted()).toEqual(['backupRestore', 'copy', 'duplication', 'launch']);
    expect(Object.values(workflowTypes).toSorted()).toEqual([
      'backupRestore',
      'copy',
      'duplication',
      'launch',
    ]);
  });

  it('messages are ten Updates and one Query', () => {
    const defined = Object.values(messages).map(({ type, name }) => `${type} ${name}`);
    expect(defined.toSorted()).toEqual([
      'query status',
      'update pause',
      'update promote',
      'update remove',
      'update resume',
      'update resync',
      'update retry',
      'update setPolicy',
      'update setTable',
      'update skip',
      'update verify',
    ]);
    expect(Object.values(messageNames)).toHaveLength(defined.length);
  });

  it('activities of a duplication and of a consistent copy are these, and those of a load', () => {
    expect(Object.keys(new FakeDuplication().activities).toSorted()).toEqual([
      'beginLink',
      'completeLink',
      'cutLink',
      'endLink',
      'finishChunk',
      'finishCopy',
      'followLog',
      'listBatches',
      'loadUnits',
      'planDuplication',
      'prepareLinkLoad',
      'promoteLink',
      'removeCopy',
      'removeLink',
      'retryDeadTransactions',
      'setLinkTable',
      'skipUnit',
      'verifyLink',
      'watchLink',
    ]);
  });

  it('activities of a copy are these', () => {
    expect(Object.keys(new FakeCopy(wholeChunks(0)).activities).toSorted()).toEqual([
      'finishChunk',
      'finishCopy',
      'latestLoad',
      'listBatches',
      'loadUnits',
      'planCopy',
      'prepareCopy',
      'removeCopy',
      'skipUnit',
    ]);
  });
});
