import { writeSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/**
 * Prints `N passed, N failed` as the very last line, whatever other reporters and tear-downs print.
 * A file that cannot be loaded, an error outside any test and a failed setup each count as one failure.
 */
export default class TotalsReporter implements Reporter {
  private passed = 0;
  private failed = 0;

  onInit(): void {
    process.once('exit', (status) => {
      if (status !== 0 && this.failed === 0) this.failed = 1;
      writeAll(`${this.passed} passed, ${this.failed} failed\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    this.passed = 0;
    this.failed = unhandled.length;
    for (const module of modules) {
      const before = this.failed;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') this.passed += 1;
        else if (state === 'failed') this.failed += 1;
      }
      if (!module.ok() && this.failed === before) this.failed += 1;
    }
  }
}

/** At exit nothing asynchronous is written any more, and a full pipe may ask us to try again. */
function writeAll(text: string): void {
  for (let tries = 0; tries < 1_000; tries += 1) {
    try {
      writeSync(1, text);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}
