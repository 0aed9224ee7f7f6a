import type { StageStatus } from '../../definitions/contracts/status.ts';
import { bytesText, countText } from './amounts.ts';
import { type Column, tableLines } from './table.ts';

/** One line a stage, in the order they run; a restore of several backups has one for each. */
export function stageLines(stages: readonly StageStatus[]): string[] {
  return tableLines(columns, stages).map((line) => `  ${line}`);
}

const columns: readonly Column<StageStatus>[] = [
  { title: 'STAGE', text: ({ stage }) => stage },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'BACKUP', text: ({ backup }) => backup ?? '-' },
  {
    title: 'CHUNKS',
    right: true,
    text: ({ state, chunks }) =>
      state === 'waiting' ? '-' : `${countText(chunks.done)}/${countText(chunks.total)}`,
  },
  { title: 'SKIPPED', right: true, text: ({ chunks }) => countText(chunks.skipped) },
  { title: 'ROWS', right: true, text: ({ state, rows }) => (state === 'waiting' ? '-' : countText(rows)) },
  { title: 'BYTES', right: true, text: ({ state, bytes }) => (state === 'waiting' ? '-' : bytesText(bytes)) },
];
