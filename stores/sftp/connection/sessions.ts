import { setMaxListeners } from 'node:events';
import type { SftpSettings } from '../settings.ts';
import { connect } from './connect.ts';
import { failure, translateStatus } from './errors.ts';
import { Session } from './session.ts';

interface Place {
  readonly opening: Promise<Session>;
  users: number;
}

/** A session for as long as somebody streams over it. */
export interface HeldSession {
  readonly session: Session;
  /** Idempotent. */
  readonly release: () => void;
}

/** The connections of one store in one worker: at most `connections`, shared, a dead one replaced at the next use. */
export class Sessions {
  readonly store: string;
  private readonly settings: SftpSettings;
  private readonly places = new Set<Place>();
  private closed = false;

  constructor(store: string, settings: SftpSettings) {
    this.store = store;
    this.settings = settings;
  }

  /** Answers of the server come out as SynclineError; `doing` completes "while …". */
  async use<T>(doing: string, work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { session, release } = await this.hold(signal);
    try {
      return await work(session);
    } catch (error) {
      throw translateStatus(error, { store: this.store, doing });
    } finally {
      release();
    }
  }

  async hold(signal?: AbortSignal): Promise<HeldSession> {
    signal?.throwIfAborted();
    // Each request under way listens to it, and a job's signal is that of all its transfers: many are no leak.
    if (signal !== undefined) setMaxListeners(0, signal);
    const place = this.choose();
    place.users += 1;
    let held = true;
    const release = (): void => {
      if (held) place.users -= 1;
      held = false;
    };
    try {
      const session = await orAborted(place.opening, signal);
      return { session, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    const places = [...this.places];
    this.places.clear();
    for (const { opening } of places) (await opening.catch(() => null))?.end();
  }

  private choose(): Place {
    const least = [...this.places].sort((a, b) => a.users - b.users)[0];
    if (least !== undefined && (least.users === 0 || this.places.size >= this.settings.connections))
      return least;
    const place: Place = { opening: this.open(), users: 0 };
    this.places.add(place);
    const forget = (): void => void this.places.delete(place);
    place.opening.then((session) => session.lost.addEventListener('abort', forget, { once: true }), forget);
    return place;
  }

  private async open(): Promise<Session> {
    this.expectOpen();
    const session = new Session(this.store, await connect(this.store, this.settings));
    try {
      this.expectOpen();
      return session;
    } catch (error) {
      session.end();
      throw error;
    }
  }

  private expectOpen(): void {
    if (this.closed) throw this.ended();
  }

  private ended(): Error {
    return failure('store.connectionLost', this.store, { sentence: `Store ${this.store} was closed.` });
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
