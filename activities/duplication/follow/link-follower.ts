import { setMaxListeners } from 'node:events';
import type {
  FollowHeartbeat,
  FollowInput,
  LinkProgress,
} from '../../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../../definitions/errors.ts';
import type { LogPosition, LogReading } from '../../../stores/spi/log.ts';
import type { LinkWriter } from '../../../stores/spi/log-target.ts';
import type { ActivityDependencies } from '../../dependencies.ts';
import type { Link } from '../link.ts';
import { FollowLoop, readAgain, type Why } from './follow-loop.ts';
import { openLog, withWriter } from './open-link.ts';
import { Care } from './poison.ts';
import type { HeldAtCut } from './route-batch.ts';
import { Routes } from './routes.ts';

type Shown = Partial<LinkProgress> & Pick<FollowHeartbeat, 'target' | 'doing'>;

/**
 * Follows one link for an activity: opens both ends, and opens the log again at the committed position where a batch was
 * refused and something was decided about it.
 */
export class LinkFollower {
  doing: FollowHeartbeat['doing'] = 'waiting';
  private readonly dependencies: ActivityDependencies;
  private readonly link: Link;
  private readonly input: FollowInput;
  private readonly care = new Care();
  private readonly routes: Routes;
  private loop: FollowLoop | null = null;
  private reading: LogReading | null = null;
  private writer: LinkWriter | null = null;
  private signal: AbortSignal | null = null;
  private isHeld: HeldAtCut | null = null;

  constructor(dependencies: ActivityDependencies, link: Link, input: FollowInput) {
    this.dependencies = dependencies;
    this.link = link;
    this.input = input;
    this.routes = new Routes(link);
  }

  get heartbeat(): Shown {
    const shown = { target: this.link.ref.target, doing: this.doing };
    return this.loop === null ? shown : { ...this.loop.progress, ...shown };
  }

  /** Only while running. */
  get progress(): LinkProgress {
    if (this.loop === null) throw new SynclineError('internal.unexpected', 'Nobody follows.');
    return this.loop.progress;
  }

  get position(): LogPosition {
    return this.writer?.state.position ?? '';
  }

  /** Only while running. */
  get following(): { readonly link: Link; readonly signal: AbortSignal } {
    if (this.signal === null) throw new SynclineError('internal.unexpected', 'Nobody follows.');
    return { link: this.link, signal: this.signal };
  }

  /** Every chunk is loaded, and of what is followed nothing waits in the spool. */
  get isSettled(): boolean {
    return this.routes.allLoaded && this.routes.draining.length === 0;
  }

  /** Holds the writer of the link while `work` runs. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    // Every session of both ends listens to it; Node takes more than ten for a leak and says so.
    setMaxListeners(0, signal);
    return await withWriter(this.link, signal, async (writer) => {
      this.writer = writer;
      this.signal = signal;
      await this.routes.refresh();
      const letGo = this.dependencies.memory?.holdsChanges();
      try {
        await this.open();
        this.doing = 'following';
        return await work();
      } finally {
        letGo?.();
        await this.close();
      }
    });
  }

  async untilWhy(): Promise<Why> {
    return await this.until((why) => why);
  }

  /** Follows until `done` answers; it is asked at every commit boundary. */
  async until<Answer>(done: (why: Why | null) => Answer | null): Promise<Answer> {
    for (;;) {
      if (this.loop === null) throw new SynclineError('internal.unexpected', 'Nobody follows.');
      const answer = await this.loop.runUntil(done);
      if (answer !== readAgain) return answer;
      await this.close();
      await this.open();
    }
  }

  /** Follows while something else is done, and answers with it. */
  async whileFollowing<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const settled = work.finally(() => {
      over = true;
    });
    settled.catch(() => undefined);
    await this.until(() => (over ? true : null));
    return await settled;
  }

  /** From now on changes of these transactions wait in the spool, and nothing leaves it; null: all of it goes on. */
  hold(isHeld: HeldAtCut | null): void {
    this.isHeld = isHeld;
    if (isHeld === null) this.routes.unsettle();
    this.tellLoop();
  }

  private tellLoop(): void {
    if (this.loop === null) return;
    this.loop.isHeld = this.isHeld;
    this.loop.chores.held = this.isHeld !== null;
  }

  private async open(): Promise<void> {
    const { dependencies, link, input, routes, writer, signal } = this;
    if (writer === null || signal === null) return;
    this.reading = await openLog(link, writer.state, { binary: routes.binary, signal });
    this.loop = new FollowLoop(
      { dependencies, link, input, writer, routes, signal },
      this.reading,
      this.care,
    );
    this.tellLoop();
  }

  private async close(): Promise<void> {
    this.loop?.stop();
    await this.reading?.close();
  }
}
