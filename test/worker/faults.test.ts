import { expect, test } from 'vitest';
import { faultPoints } from '../../worker/faults.ts';

test('without a wish nothing happens at any point', async () => {
  await expect(faultPoints(undefined).reach('load.mid')).resolves.toBeUndefined();
});

test('an error comes at its point only', async () => {
  const faults = faultPoints('load.copied:error');
  await faults.reach('load.mid');
  await expect(faults.reach('load.copied')).rejects.toMatchObject({ code: 'fault.injected' });
});

test('an error comes the n-th time its point is reached, once', async () => {
  const faults = faultPoints('swap.beforeCommit:error:2');
  await faults.reach('swap.beforeCommit');
  await expect(faults.reach('swap.beforeCommit')).rejects.toMatchObject({ code: 'fault.injected' });
  await expect(faults.reach('swap.beforeCommit')).resolves.toBeUndefined();
});

test('a hang ends when its signal aborts', async () => {
  const abort = new AbortController();
  const hanging = faultPoints('load.mid:hang').reach('load.mid', abort.signal);
  abort.abort();
  await expect(hanging).rejects.toMatchObject({ name: 'AbortError' });
});

test('several faults are separated by commas', async () => {
  const faults = faultPoints('load.mid:error, swap.afterCommit:error');
  await expect(faults.reach('load.mid')).rejects.toMatchObject({ code: 'fault.injected' });
  await expect(faults.reach('swap.afterCommit')).rejects.toMatchObject({ code: 'fault.injected' });
});

test.each(['load.middle:kill', 'load.mid', 'load.mid:explode', 'load.mid:kill:0', 'load.mid:kill:1:2'])(
  'the misspelt fault %s is an error that names the known points',
  (text) => {
    expect(() => faultPoints(text)).toThrow(/load\.mid, load\.copied, swap\.beforeCommit, swap\.afterCommit/);
  },
);
