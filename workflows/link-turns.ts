import { CancellationScope, condition } from '@temporalio/workflow';
import type { JobRun } from './job-run.ts';

/**
 * Who writes for a link: one at a time, the follow when nobody else wants to. Whoever needs the link for himself
 * interrupts the follow, which ends between two batches and is begun again after him.
 */
export class LinkTurns {
  following = false;
  /** When the follow that is out was begun, ms since 1970. */
  followSince = 0;
  private aloneWaiting = 0;
  private aloneRunning = false;
  private scope: CancellationScope | null = null;
  private readonly load: JobRun;
  private readonly heldBack: () => boolean;

  /** `heldBack`: nobody may follow, whatever the cause. */
  constructor(load: JobRun, heldBack: () => boolean) {
    this.load = load;
    this.heldBack = heldBack;
  }

  get taken(): boolean {
    return this.following || this.aloneRunning;
  }

  /** Somebody has the link for himself, or waits for it. */
  get isAlone(): boolean {
    return this.aloneWaiting > 0 || this.aloneRunning;
  }

  /** Whether what was interruptible has been taken back. */
  get takenBack(): boolean {
    return this.scope?.consideredCancelled ?? false;
  }

  async follow<T>(act: () => Promise<T>): Promise<T> {
    this.following = true;
    this.followSince = Date.now();
    this.load.publish();
    // Not only a pause takes it back: a stop does, and everything that ends the follows.
    const watch = condition(() => !this.following || this.heldBack()).then(
      () => {
        if (this.following) this.interrupt();
      },
      () => undefined,
    );
    try {
      return await this.interruptible(act);
    } finally {
      this.following = false;
      this.load.touch();
      await watch;
    }
  }

  /** Taken back by a pause, and by whoever needs the link for himself. */
  async interruptible<T>(act: () => Promise<T>): Promise<T> {
    return await this.load.scope.run(async () => {
      const scope = new CancellationScope();
      this.scope = scope;
      return await scope.run(act);
    });
  }

  interrupt(): void {
    this.scope?.cancel();
  }

  async alone<T>(act: () => Promise<T>): Promise<T> {
    this.aloneWaiting += 1;
    this.interrupt();
    try {
      while (this.taken) await condition(() => !this.taken);
      this.aloneRunning = true;
    } finally {
      this.aloneWaiting -= 1;
    }
    try {
      return await act();
    } finally {
      this.aloneRunning = false;
      this.load.touch();
    }
  }
}
