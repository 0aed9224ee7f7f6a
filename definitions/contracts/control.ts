import type { FailMode } from './job.ts';

/** Arguments of the control Updates. Validators refuse what the state does not allow; nothing enters history then. */

/** Every Update of a duplication may name one of its links by the store of the target; absent: all of them. */
export interface LinkControlInput {
  readonly target?: string;
}

export interface PauseInput extends LinkControlInput {
  readonly reason?: string;
}

export interface SkipInput extends LinkControlInput {
  /** Ordinal of the unit, or `failing` for every unit that is waiting with an error. */
  readonly unit: number | 'failing';
}

export interface RetryInput extends LinkControlInput {
  /** `skipped`: dead letters of this load, and dead transactions of a log; `waiting`: units waiting for another attempt, at once. */
  readonly what: 'skipped' | 'waiting';
}

export interface SetPolicyInput extends LinkControlInput {
  readonly mode?: FailMode;
  readonly attempts?: number;
  readonly parallel?: number;
}

export interface RemoveInput extends LinkControlInput {
  /** Of a duplication: the side that is gone for ever and is not asked any more; the result says what stays there. */
  readonly abandon?: 'source' | 'target';
}

/** What an Update answers: one sentence that the CLI prints. */
export interface ControlAnswer {
  readonly message: string;
}
