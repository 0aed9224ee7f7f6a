import type { LinkProgress, LinkStatus, VerifyAnswer } from '../../definitions/contracts/duplication.ts';
import { errorTable } from '../../definitions/errors.ts';
import type { LinkMetrics } from '../../worker/jobs/link-metrics.ts';
import { bytesText, countText, durationText, plural, rateText } from './amounts.ts';
import { type Column, tableLines } from './table.ts';

/** One line a link, then what is wrong with it and with tables of it. */
export function linkLines(links: readonly LinkStatus[]): string[] {
  return [...tableLines(columns, links), ...links.flatMap(troubleLines)].map((line) => `  ${line}`);
}

const columns: readonly Column<LinkStatus>[] = [
  { title: 'LINK', text: ({ target }) => target },
  { title: 'PHASE', text: ({ phase, pegasusPhase }) => `${phase} (${pegasusPhase})` },
  { title: 'STATE', text: ({ state, needsAttention }) => (needsAttention ? `${state}, attention` : state) },
  { title: 'LAG', right: true, text: ({ progress }) => lagText(progress?.lagMs ?? null) },
  { title: 'BEHIND', right: true, text: ({ progress }) => amountText(progress?.lagBytes ?? null) },
  { title: 'KEPT', right: true, text: ({ progress }) => amountText(progress?.retainedBytes ?? null) },
  { title: 'SPOOL', right: true, text: (link) => progressCount(link, 'spooledChanges') },
  { title: 'APPLIED', right: true, text: (link) => progressCount(link, 'applied') },
  { title: 'DEAD', right: true, text: (link) => progressCount(link, 'deadTransactions') },
  { title: 'CONFLICTS', right: true, text: (link) => progressCount(link, 'conflicts') },
  { title: 'POSITION', text: ({ progress }) => progress?.position ?? '-' },
  { title: 'CONSISTENT AT', text: ({ progress }) => progress?.consistentAt ?? '-' },
];

type Counted = 'spooledChanges' | 'applied' | 'deadTransactions' | 'conflicts';

function progressCount({ progress }: LinkStatus, key: Counted): string {
  return progress === null ? '-' : countText(progress[key]);
}

/** `now` is the end of the log. */
export function lagText(lagMs: number | null): string {
  if (lagMs === null) return '-';
  return lagMs < 1_000 ? `${Math.round(lagMs)} ms` : durationText(lagMs);
}

function amountText(bytes: number | null): string {
  return bytes === null ? '-' : bytesText(bytes);
}

function troubleLines({ target, reason, reasonCode, progress }: LinkStatus): string[] {
  const lines = reason === null ? [] : [`${target}: ${reason}`];
  if (reasonCode !== null) lines.push(`${target}: cure (${reasonCode}): ${errorTable[reasonCode].cure}`);
  return [...lines, ...(progress === null ? [] : tableTrouble(target, progress))];
}

function tableTrouble(target: string, { danger, tables }: LinkProgress): string[] {
  return [
    ...(danger === null ? [] : [`${target}: ${danger}`]),
    ...tables.map(({ table, state, code, message }) => {
      const why = message === null ? '' : `: ${message}${code === null ? '' : ` (${code})`}`;
      return `${target}: table ${table} is ${state}${why}`;
    }),
  ];
}

type Verified = VerifyAnswer['links'][number];

export function verifiedLinkLines({ target, verified }: Verified): string[] {
  const { chunks, rows, different } = verified;
  const result = different.length === 0 ? 'equal' : `${countText(different.length)} differ`;
  return [
    `  ${target}: ${plural(chunks, 'chunk')}, ${plural(rows, 'row')}: ${result}`,
    ...different.map(({ chunk, sourceRows, targetRows }) => {
      return `    ${chunk}: ${countText(sourceRows)} rows at the source, ${countText(targetRows)} on the target`;
    }),
  ];
}

/** Figures of one link, a line for each question. */
export function metricsLines(one: LinkMetrics): string[] {
  const { now, totals } = one;
  const window =
    one.windowMs === null ? 'as far back as is remembered' : `last ${durationText(one.windowMs)}`;
  return [
    `${one.target} (${window})`,
    `  tasks    ${countText(one.finishedTasks)} finished, ${countText(one.skippedTasks)} with something skipped, ${unfinishedText(one)}; ${perSecond(one.finishedTasksPerSecond)}`,
    `  cost     average ${msText(one.averageCostMs)}, most ${msText(one.maxCostMs)} a task; ${sizeText(one.averageGroupSize)} transactions a task`,
    `  lag      p50 ${msText(one.lagP50Ms)}, p99 ${msText(one.lagP99Ms)}, most ${msText(one.lagMaxMs)}; ${countText(one.laggingTransactions)} lagging; now ${lagText(now.lagMs)}, ${amountText(now.lagBytes)} to come`,
    `  rates    ${perSecond(one.transactionsPerSecond)} transactions, ${perSecond(one.changesPerSecond)} changes, shipped ${rateText(one.shippedBytesPerSecond)}, confirmed ${rateText(one.confirmedBytesPerSecond)}`,
    `  waiting  ${countText(now.spooledChanges)} changes (${bytesText(now.spooledBytes)}) in the spool; ${amountText(now.retainedBytes)} kept for it`,
    `  failures ${countText(one.failedAttempts)} attempts at tables that fail; ${plural(totals.deadTransactions, 'transaction')} set aside, ${countText(totals.conflicts)} conflicts since ${one.since}`,
    `  total    ${countText(totals.transactions)} transactions, ${countText(totals.changes)} changes (${countText(totals.applied)} applied, ${countText(totals.filtered)} in a snapshot already), ${bytesText(totals.bytes)}`,
  ];
}

function unfinishedText({ unfinishedTasks }: LinkMetrics): string {
  return unfinishedTasks === null ? 'unfinished: unknown' : `about ${countText(unfinishedTasks)} unfinished`;
}

function msText(ms: number | null): string {
  return ms === null ? '-' : lagText(ms);
}

function sizeText(size: number | null): string {
  return size === null ? '-' : size.toFixed(1);
}

function perSecond(rate: number): string {
  return `${rate < 100 ? rate.toFixed(1) : countText(Math.round(rate))}/s`;
}
