import type { TablePlan } from '../../spi/chunk-source.ts';
import type { BeginWriting } from '../../spi/chunk-target.ts';
import type { RowStream } from '../../spi/rows.ts';
import type { OpenSession } from '../connection.ts';
import { CopyIn } from '../copy/copy-in.ts';
import { quoteColumns } from '../identifiers.ts';
import { translateError } from '../sqlstate.ts';
import type { LeafFacts } from './leaf-facts.ts';
import { formatOption } from './reading-statements.ts';

/** What every way works with: the open transaction, the request, and what was there before. */
export interface WayContext {
  readonly session: OpenSession;
  readonly request: BeginWriting;
  readonly facts: LeafFacts;
}

export interface CopyRows {
  readonly into: string;
  readonly rows: RowStream;
  readonly freeze: boolean;
}

/** Streams rows into a table of the target; the column list is the plan's. Answers the rows the server took. */
export async function copyRows(context: WayContext, copy: CopyRows): Promise<number> {
  const { plan, unit } = context.request;
  try {
    return await new CopyIn(copyStatement(plan, copy)).run(context.session.client, copy.rows);
  } catch (error) {
    throw translateError(error, { ...context.session.place, chunk: unit.chunk });
  }
}

/** `COPY … FROM STDIN` for rows of a plan. */
export function copyStatement(
  plan: TablePlan,
  copy: Pick<CopyRows, 'into' | 'freeze'> & { readonly rows: Pick<RowStream, 'format'> },
): string {
  const columns = plan.columns.length === 0 ? '' : ` (${quoteColumns(plan.columns)})`;
  const options = [
    ...(copy.rows.format === 'text' ? [] : [formatOption(copy.rows.format)]),
    ...(copy.freeze ? ['FREEZE'] : []),
  ];
  const clause = options.length === 0 ? '' : ` WITH (${options.join(', ')})`;
  return `COPY ${copy.into}${columns} FROM STDIN${clause}`;
}
