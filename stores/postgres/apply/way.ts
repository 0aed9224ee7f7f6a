import type { Step, StepResult } from './message.ts';
import type { Stages } from './staging.ts';

/** How a part of a batch reaches one table: statements that go out with those of other parts in one message. */
export interface Part {
  readonly steps: readonly Step[];
  /**
   * By the results of `steps`: how many rows were not as the log says, and are now. Null: rows were not as the log says, and
   * are not now; nothing of it may stay. Throws `log.rowMissing`.
   */
  conflicts(results: readonly StepResult[]): number | null;
}

export interface WayTools {
  readonly stages: Stages;
}

/** Statements with names, by which their results are found. */
export class NamedSteps {
  readonly steps: Step[] = [];
  private readonly names: string[] = [];
  private readonly table: string;

  constructor(table: string) {
    this.table = table;
  }

  add(name: string, ...steps: readonly (string | Step)[]): void {
    for (const step of steps) {
      this.steps.push(typeof step === 'string' ? { text: step, table: this.table } : step);
      this.names.push(name);
    }
  }

  /** Sum of the rows of the statements of that name; 0 where there is none. */
  count(results: readonly StepResult[], name: string): number {
    return this.names.reduce((sum, known, index) => sum + (known === name ? countOf(results[index]) : 0), 0);
  }
}

/** Of `SELECT count(*) AS rows`, what it says; of others, their tag. */
function countOf(result: StepResult | undefined): number {
  const said = result?.rows[0]?.['rows'];
  return said === undefined ? (result?.count ?? 0) : Number(said);
}
