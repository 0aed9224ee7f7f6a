import { Random } from '../../../scripts/chaos/random.ts';
import {
  bulkOperations,
  type Operation,
  type OperationName,
  smallOperations,
  truncations,
} from './operations.ts';

/** What a seed decides about one transaction: data only, so that a run can be repeated and looked at. */
export interface PlannedTransaction {
  readonly nth: number;
  readonly steps: readonly Step[];
  /** The last two: by PREPARE TRANSACTION, and after a while by the second half. */
  readonly ending: 'commit' | 'rollback' | 'commitPrepared' | 'rollbackPrepared';
  /** How long it stays prepared. */
  readonly preparedMs: number;
  /** Takes the next number in the order of commits, which makes others wait until it is over. */
  readonly takesClock: boolean;
  /** Before the next one. */
  readonly restMs: number;
}

export type Step =
  | { readonly kind: 'sql'; readonly operation: OperationName; readonly text: string }
  | { readonly kind: 'savepoint' | 'rollbackTo' | 'release'; readonly name: string }
  | { readonly kind: 'wait'; readonly ms: number };

type Style = 'tiny' | 'medium' | 'bulk' | 'slow' | 'truncating' | 'prepared';

type Shares = readonly (readonly [Style, number])[];

/** Of a hundred transactions. One writer of four is patient, or all of them would mostly wait. */
const patient: Shares = [
  ['tiny', 30],
  ['medium', 24],
  ['bulk', 4],
  ['slow', 20],
  ['truncating', 2],
  ['prepared', 20],
];
const hurried: Shares = [
  ['tiny', 57],
  ['medium', 36],
  ['bulk', 5],
  ['truncating', 2],
];

const eachOnce = Object.keys(smallOperations) as (keyof typeof smallOperations)[];
/** Transfers more often than the others. */
const smallNames = [...eachOnce, 'transfer', 'transfer', 'transfer', 'transfer'] as const;
const patientNames = eachOnce.filter((name) => name !== 'transfer');
const bulkNames = Object.keys(bulkOperations) as (keyof typeof bulkOperations)[];
const truncationNames = Object.keys(truncations) as (keyof typeof truncations)[];
const all: Readonly<Record<OperationName, Operation>> = {
  ...smallOperations,
  ...bulkOperations,
  ...truncations,
};

/** What one writer does, without end. Another writer of the same seed does something else. */
export function* transactionsOf(seed: number, writer: number): Generator<PlannedTransaction, never> {
  const random = new Random(seed * 1_009 + writer);
  const author = new Author(random, writer);
  for (let nth = 1; ; nth += 1) yield author.write(nth);
}

class Author {
  private readonly random: Random;
  private readonly writer: number;
  private readonly shares: Shares;
  private operations = 0;

  constructor(random: Random, writer: number) {
    this.random = random;
    this.writer = writer;
    this.shares = writer % 4 === 1 ? patient : hurried;
  }

  write(nth: number): PlannedTransaction {
    const { random } = this;
    const style = this.style();
    const steps = this.steps(style);
    const aborts = random.next() < 0.1;
    const quick = style === 'tiny' || style === 'medium' || style === 'bulk';
    return {
      nth,
      steps,
      ending:
        style === 'prepared'
          ? aborts
            ? 'rollbackPrepared'
            : 'commitPrepared'
          : aborts
            ? 'rollback'
            : 'commit',
      preparedMs: style === 'prepared' ? random.between(0, 1_500) : 0,
      takesClock: quick && random.next() < 0.7,
      restMs: random.next() < 0.5 ? 0 : random.between(1, 60),
    };
  }

  private style(): Style {
    let left = this.random.between(1, 100);
    for (const [style, share] of this.shares) if ((left -= share) <= 0) return style;
    return 'tiny';
  }

  private steps(style: Style): Step[] {
    const { random } = this;
    switch (style) {
      case 'tiny':
        return this.some(random.between(1, 2), smallNames);
      case 'medium':
        return this.withSavepoints(random.between(3, 10));
      case 'bulk':
        return [
          ...this.some(random.between(0, 2), smallNames),
          ...this.some(1, bulkNames),
          ...this.some(random.between(0, 2), smallNames),
        ];
      case 'slow':
        return this.slowly(random.between(2, 4));
      case 'truncating':
        return [...this.some(random.between(0, 2), patientNames), ...this.some(1, truncationNames)];
      case 'prepared':
        return this.some(random.between(1, 3), patientNames.filter(isPreparable));
    }
  }

  private some(count: number, names: readonly OperationName[]): Step[] {
    return Array.from({ length: count }, () => this.operation(names)).flat();
  }

  private operation(names: readonly OperationName[]): Step[] {
    const operation = names[this.random.between(0, names.length - 1)] ?? 'transfer';
    this.operations += 1;
    const texts = all[operation](this.random, { writer: this.writer, nth: this.operations });
    return texts.map((text) => ({ kind: 'sql', operation, text }));
  }

  /** Savepoints inside of savepoints, kept and given up. */
  private withSavepoints(count: number): Step[] {
    const steps: Step[] = [];
    const open: string[] = [];
    for (let at = 0; at < count; at += 1) {
      if (this.random.next() < 0.35) {
        const name = `s${at}`;
        steps.push({ kind: 'savepoint', name });
        open.push(name);
      }
      steps.push(...this.operation(smallNames));
      if (open.length > 0 && this.random.next() < 0.4) {
        const back = this.random.next() < 0.5;
        const name = back ? open[this.random.between(0, open.length - 1)] : open.at(-1);
        if (name === undefined) continue;
        open.length = open.indexOf(name) + (back ? 1 : 0);
        steps.push({ kind: back ? 'rollbackTo' : 'release', name });
      }
    }
    return steps;
  }

  private slowly(count: number): Step[] {
    return Array.from({ length: count }, (): Step[] => [
      ...this.operation(patientNames),
      { kind: 'wait', ms: this.random.between(200, 1_000) },
    ]).flat();
  }
}

/** A transaction that has touched a temporary table cannot be prepared. */
function isPreparable(name: OperationName): boolean {
  return name !== 'swapBookings';
}
