/** Where a command's words go: its result to stdout, everything else to stderr. */
export interface Output {
  readonly json: boolean;
  /** stdout is a terminal: colours and moving lines are welcome. */
  readonly terminal: boolean;
  /** A line of the result, for people. Nothing with `-o json`. */
  line(text?: string): void;
  /** The result, for programs. Nothing without `-o json`. */
  value(value: unknown): void;
  /** A remark that is not the result. */
  note(text: string): void;
}

export function createOutput(json: boolean): Output {
  const terminal = process.stdout.isTTY && process.env['TERM'] !== 'dumb' && !json;
  return {
    json,
    terminal,
    line: (text = '') => {
      if (!json) process.stdout.write(`${text}\n`);
    },
    value: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
  };
}
