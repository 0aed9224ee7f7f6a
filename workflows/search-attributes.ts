import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { searchAttributes } from '../definitions/contracts/names.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';

const keys = {
  job: defineSearchAttributeKey(searchAttributes.job, 'KEYWORD'),
  kind: defineSearchAttributeKey(searchAttributes.kind, 'KEYWORD'),
  state: defineSearchAttributeKey(searchAttributes.state, 'KEYWORD'),
  phase: defineSearchAttributeKey(searchAttributes.phase, 'KEYWORD'),
  needsAttention: defineSearchAttributeKey(searchAttributes.needsAttention, 'BOOL'),
};

/**
 * Whether this execution has our attributes. Setting an attribute that the namespace does not know fails the workflow
 * task for ever, so a workflow only touches what whoever started it could set: the client registers them first.
 */
function areKnown(): boolean {
  return workflowInfo().typedSearchAttributes.get(keys.job) !== undefined;
}

/** Writes what changed; each write is an event of history. */
export function publishAttributes(status: JobStatus): void {
  if (!areKnown()) return;
  const known = workflowInfo().typedSearchAttributes;
  const changed: SearchAttributePair[] = [];
  if (known.get(keys.state) !== status.state) changed.push({ key: keys.state, value: status.state });
  if (known.get(keys.phase) !== status.phase) changed.push({ key: keys.phase, value: status.phase });
  if (known.get(keys.needsAttention) !== status.needsAttention) {
    changed.push({ key: keys.needsAttention, value: status.needsAttention });
  }
  if (changed.length > 0) upsertSearchAttributes(changed);
}

/** For the job that a launcher starts: nothing when the launcher was started without. */
export function attributesOfNewJob(name: string, kind: string): SearchAttributePair[] {
  if (!areKnown()) return [];
  return [
    { key: keys.job, value: name },
    { key: keys.kind, value: kind },
    { key: keys.state, value: 'running' },
    { key: keys.phase, value: 'init' },
    { key: keys.needsAttention, value: false },
  ];
}
