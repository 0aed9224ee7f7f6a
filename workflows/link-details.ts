import type { LinkProgress, LinkStatus } from '../definitions/contracts/duplication.ts';
import type { JobStatus } from '../definitions/contracts/status.ts';

/** Markdown for the UI's tab User Metadata: a line a link, then what is not simply followed. No HTML: the UI drops it. */
export function linkDetailsOf(status: JobStatus): string {
  const links = status.links ?? [];
  const lines = [
    `State **${status.state}**, on failure ${status.onFailure.mode} (${status.onFailure.attempts} attempts), started ${status.startedAt}`,
    '',
    '| target | phase | state | generation | lag | to come | position | consistent at | spool | changes |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...links.map(lineOf),
    ...loadLines(status),
    ...tableLines(links),
    ...reasonLines(links),
  ];
  return lines.join('\n');
}

function lineOf({ target, phase, pegasusPhase, state, generation, progress }: LinkStatus): string {
  const where = `| ${target} | ${phase} (${pegasusPhase}) | **${state}** | ${generation} |`;
  return progress === null ? `${where} | | | | | |` : `${where} ${figuresOf(progress)} |`;
}

function figuresOf(progress: LinkProgress): string {
  const { lagMs, lagBytes, position, consistentAt, spooledChanges, spooledBytes, applied } = progress;
  return [
    lagMs === null ? '' : `${lagMs} ms`,
    lagBytes === null ? '' : megabytes(lagBytes),
    position,
    consistentAt ?? 'not yet',
    `${spooledChanges} (${megabytes(spooledBytes)})`,
    `${applied} applied`,
  ].join(' | ');
}

/** Of the link that is worst off. */
function loadLines({ chunks, rows, bytes, plannedBytes }: JobStatus): string[] {
  if (chunks.total === 0) return [];
  return [
    '',
    `Load: ${chunks.done} of ${chunks.total} chunks done, ${chunks.inFlight} in flight, ${chunks.skipped} skipped; ` +
      `${rows.written} rows, ${megabytes(bytes)} of about ${megabytes(plannedBytes)}`,
  ];
}

function tableLines(links: readonly LinkStatus[]): string[] {
  const rows = links.flatMap(({ target, progress }) =>
    (progress?.tables ?? []).map(
      ({ table, state, code, message }) =>
        `| ${target} | ${table} | ${state} | ${code === null ? '' : `\`${code}\` `}${message ?? ''} |`,
    ),
  );
  return rows.length === 0 ? [] : ['', '| target | table | state | why |', '|---|---|---|---|', ...rows];
}

function reasonLines(links: readonly LinkStatus[]): string[] {
  return links.flatMap(({ target, needsAttention, reason, reasonCode }) => {
    if (reason === null) return [];
    const code = reasonCode === null ? '' : `\`${reasonCode}\` `;
    return ['', `**${needsAttention ? 'Needs attention' : 'Note'}** ${target}: ${code}${reason}`];
  });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
