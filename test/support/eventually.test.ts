import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';

describe('eventually', () => {
  it('answers the first value that is there', async () => {
    const answers = [null, false, undefined, 'here', 'too late'];
    expect(await eventually(() => answers.shift(), { everyMs: 1 })).toBe('here');
  });

  it('throws the last failure', async () => {
    let tries = 0;
    const ask = (): never => {
      tries += 1;
      throw new Error('never so');
    };
    await expect(eventually(ask, { withinMs: 500, everyMs: 1 })).rejects.toThrow('never so');
    expect(tries).toBeGreaterThan(1);
  });

  it('says what did not happen', async () => {
    await expect(eventually(() => false, { withinMs: 1, waitingFor: 'rain' })).rejects.toThrow('rain');
  });
});
