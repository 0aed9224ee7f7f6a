import type { FailMode } from './job.ts';

/** Arguments of the control Updates. Validators refuse what the state does not allow; nothing enters history then. */

export interface PauseInput {
  readonly reason?: string;
}

export interface SkipInput {
  /** Ordinal of the unit, or `failing` for every unit that is waiting with an error. */
  readonly unit: number | 'failing';
}

export interface RetryInput {
  /** `skipped`: dead letters of this load; `waiting`: units waiting for another attempt, at once. */
  readonly what: 'skipped' | 'waiting';
}

export interface SetPolicyInput {
  readonly mode?: FailMode;
  readonly attempts?: number;
  readonly parallel?: number;
}

/** What an Update answers: one sentence that the CLI prints. */
export interface ControlAnswer {
  readonly message: string;
}
