import type { Socket } from 'node:net';
import type pg from 'pg';
import { SynclineError } from '../../../definitions/errors.ts';
import type { Session } from '../connection.ts';
import { translateError } from '../sqlstate.ts';

/**
 * Many statements in one message and one round trip, some of them `COPY … FROM STDIN`: their rows follow at once, in
 * the order of the statements, while the server works on what came before. After an error the server passes over
 * whatever follows, by the protocol, so the session can be used again.
 */

export interface Step {
  /** One statement without parameters. */
  readonly text: string;
  /** The table of the target that it is for: an error names it. */
  readonly table?: string;
  /** Of `COPY … FROM STDIN`: pieces that are whole CopyData messages. Made while the server works. */
  readonly rows?: Iterable<Buffer>;
}

export interface StepResult {
  /** Rows by the server's tag. */
  readonly count: number;
  /** Values as text. */
  readonly rows: readonly Readonly<Record<string, string | null>>[];
}

export async function runSteps(session: Session, steps: readonly Step[]): Promise<readonly StepResult[]> {
  if (steps.length === 0) return [];
  const message = new Message(steps);
  try {
    session.client.query(message as unknown as pg.Submittable);
    return await message.results;
  } catch (error) {
    throw withTable(error, session, steps[message.finished]?.table);
  }
}

/** States of values that do not have the binary form of their column. */
const otherForm = new Set(['22P03', '08P01']);

/** The table is the one that changes were for, whatever table the server names besides. */
function withTable(error: unknown, session: Session, table: string | undefined): SynclineError {
  if (table === undefined) return translateError(error, session.place);
  const known = translateError(error, { ...session.place, doing: `applying changes to ${table}` });
  const details = { ...known.details, table };
  if (!otherForm.has(details.sqlState ?? ''))
    return new SynclineError(known.code, known.message, { details, cause: known.cause });
  return new SynclineError(
    'log.schemaChanged',
    `Values of the log do not fit the types of ${table} (SQLSTATE ${details.sqlState ?? ''}).`,
    { details, cause: known.cause },
  );
}

const atOnceBytes = 64 * 1024;

interface DriverConnection {
  readonly stream: Socket;
  query(text: string): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

class Message {
  readonly results: Promise<readonly StepResult[]>;
  private readonly steps: readonly Step[];
  private readonly done: StepResult[] = [];
  private names: readonly string[] = [];
  private rows: Readonly<Record<string, string | null>>[] = [];
  private settle: { resolve(results: readonly StepResult[]): void; reject(error: unknown): void } | null =
    null;

  constructor(steps: readonly Step[]) {
    this.steps = steps;
    this.results = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
  }

  /** Statements that the server has ended well. */
  get finished(): number {
    return this.done.length;
  }

  // --- what the driver calls -------------------------------------------------------------------------

  submit(connection: DriverConnection): void {
    const { stream } = connection;
    stream.cork();
    connection.query(this.steps.map(({ text }) => text).join(';\n'));
    try {
      for (const { rows } of this.steps) {
        if (rows === undefined) continue;
        for (const piece of rows) {
          stream.write(piece);
          // What is small goes out in one write; of more, the server gets the first while the next is made.
          if (stream.writableLength > atOnceBytes) {
            stream.uncork();
            stream.cork();
          }
        }
        connection.endCopyFrom();
      }
    } catch (error) {
      // The server waits for rows that cannot be made.
      connection.sendCopyFail('the rows cannot be made');
      this.handleError(error);
    } finally {
      stream.uncork();
    }
  }

  handleRowDescription({ fields }: { readonly fields: readonly { readonly name: string }[] }): void {
    this.names = fields.map(({ name }) => name);
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    this.rows.push(Object.fromEntries(this.names.map((name, index) => [name, fields[index] ?? null])));
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.done.push({ count: Number(/\d+$/.exec(text)?.[0] ?? 0), rows: this.rows });
    this.rows = [];
  }

  handleReadyForQuery(): void {
    this.settle?.resolve(this.done);
  }

  handleError(error: unknown): void {
    this.settle?.reject(error);
  }

  handleEmptyQuery(): void {
    this.handleError(new Error('A statement is empty'));
  }

  handleCopyInResponse(): void {
    // The rows are on their way.
  }

  handleCopyData(): void {
    this.handleError(new Error('COPY answered with data'));
  }
}
