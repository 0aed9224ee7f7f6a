import { errorTable } from '../../definitions/errors.ts';
import type { JobStatus } from '../../definitions/contracts/status.ts';
import { linkLines } from './links.ts';
import { stageLines } from './stages.ts';
import { bytesText, countText, durationText } from './amounts.ts';

/** The status as a few lines; the fields of `-o json` in words. */
export function statusLines(status: JobStatus, now: number): string[] {
  const { chunks, rows } = status;
  const end = status.endedAt === null ? now : Date.parse(status.endedAt);
  const share = status.plannedBytes > 0 ? ` of about ${bytesText(status.plannedBytes)}` : '';
  const phase = [status.stage, status.phase === status.state ? undefined : status.phase];
  const where = phase.filter((word) => word !== undefined).join(', ');
  return [
    `${status.kind}/${status.name}: ${status.state}${where === '' ? '' : ` (${where})`}`,
    ...attentionLines(status),
    `  chunks  ${countText(chunks.done)} of ${countText(chunks.total)} done, ${countText(chunks.skipped)} skipped, ${countText(chunks.inFlight)} in flight`,
    `  rows    ${countText(rows.written)} written, ${countText(rows.read)} read, ${countText(rows.skipped)} skipped`,
    `  bytes   ${bytesText(status.bytes)}${share}`,
    ...(status.stages === undefined ? [] : stageLines(status.stages)),
    ...(status.links === undefined ? [] : linkLines(status.links)),
    `  time    ${durationText(end - Date.parse(status.startedAt))} since ${status.startedAt}`,
  ];
}

function attentionLines({ needsAttention, reason, reasonCode }: JobStatus): string[] {
  if (reason === null) return [];
  const lines = [`  ${needsAttention ? 'attention: ' : ''}${reason}`];
  if (reasonCode !== null) lines.push(`  cure (${reasonCode}): ${errorTable[reasonCode].cure}`);
  return lines;
}
