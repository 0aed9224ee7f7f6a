import { CancellationScope, sleep } from '@temporalio/workflow';

/** One timer for everything that waits for time: each timer is two events of history, however many batches wait. */
export class Alarm {
  private at = Number.POSITIVE_INFINITY;
  private scope: CancellationScope | null = null;
  private readonly ring: () => void;
  private readonly summary: string;
  private readonly outside = CancellationScope.current();

  /** `ring` is called at the time set, and perhaps once without need. `summary` is what the UI shows of the timer. */
  constructor(summary: string, ring: () => void) {
    this.summary = summary;
    this.ring = ring;
  }

  /** Rings at `at` (ms since 1970) or before. A later time than the one set already changes nothing. */
  setAtMost(at: number): void {
    if (at >= this.at) return;
    this.scope?.cancel();
    const scope = new CancellationScope({ cancellable: true, parent: this.outside });
    this.scope = scope;
    this.at = at;
    const wait = Math.max(1, at - Date.now());
    scope
      .run(() => sleep(wait, { summary: this.summary }))
      .then(
        () => {
          if (this.scope === scope) this.at = Number.POSITIVE_INFINITY;
          this.ring();
        },
        () => undefined,
      );
  }
}
