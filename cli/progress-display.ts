import type { JobAddress } from '../worker/jobs/job-address.ts';
import type { Output } from './output.ts';
import { type ProgressSample, progressLine } from './render/progress.ts';

/** On a terminal one moving line per job; elsewhere a plain line now and then; with `-o json` nothing on stdout. */
export class ProgressDisplay {
  readonly everyMs: number;
  private readonly output: Output;
  private readonly lines = new Map<string, string>();
  private shown = 0;

  constructor(output: Output) {
    this.output = output;
    this.everyMs = output.terminal ? 500 : 5_000;
  }

  show(address: JobAddress, sample: ProgressSample): void {
    const line = `${address.name}  ${progressLine(sample)}`;
    if (!this.output.terminal) {
      if (this.lines.get(address.name) !== line) this.output.note(line);
      this.lines.set(address.name, line);
      return;
    }
    this.lines.set(address.name, line);
    this.clear();
    // Some terminals do not say how wide they are.
    const width = process.stdout.columns > 0 ? process.stdout.columns : 100;
    const texts = [...this.lines.values()].map((text) => text.slice(0, width - 1));
    process.stdout.write(`${texts.join('\n')}\n`);
    this.shown = texts.length;
  }

  /** Takes the moving lines off the screen. */
  clear(): void {
    if (this.shown > 0) process.stdout.write(`\u001b[${this.shown}A\u001b[J`);
    this.shown = 0;
  }
}
