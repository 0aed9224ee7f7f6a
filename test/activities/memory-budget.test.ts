import { expect, test } from 'vitest';
import { MemoryBudget, unitBufferBytes } from '../../activities/memory-budget.ts';

const never = new AbortController().signal;

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test('lets through as many units as the memory holds, and the next when one has ended', async () => {
  const budget = new MemoryBudget();
  const request = { job: 'a', memoryBytes: 2 * unitBufferBytes, signal: never };
  const gates = [gate(), gate(), gate()];
  const started: number[] = [];
  const units = gates.map((each, index) =>
    budget.use(request, async () => {
      started.push(index);
      await each.opened;
    }),
  );
  await Promise.resolve();
  expect(started).toEqual([0, 1]);
  gates[1]?.open();
  await units[1];
  await new Promise(setImmediate);
  expect(started).toEqual([0, 1, 2]);
  gates.forEach((each) => each.open());
  await Promise.all(units);
});

test('lets one unit through however small the memory is, and keeps jobs apart', async () => {
  const budget = new MemoryBudget();
  const first = gate();
  const held = budget.use({ job: 'a', memoryBytes: 1, signal: never }, () => first.opened);
  await expect(
    budget.use({ job: 'b', memoryBytes: 1, signal: never }, () => Promise.resolve(7)),
  ).resolves.toBe(7);
  first.open();
  await held;
});

test('gives up the wait when the activity is cancelled, and loses no place for others', async () => {
  const budget = new MemoryBudget();
  const first = gate();
  const cancel = new AbortController();
  const held = budget.use({ job: 'a', memoryBytes: 1, signal: never }, () => first.opened);
  const cancelled = budget.use({ job: 'a', memoryBytes: 1, signal: cancel.signal }, () =>
    Promise.resolve('ran'),
  );
  const patient = budget.use({ job: 'a', memoryBytes: 1, signal: never }, () => Promise.resolve('ran'));
  cancel.abort(new Error('paused'));
  await expect(cancelled).rejects.toThrow('paused');
  first.open();
  await held;
  await expect(patient).resolves.toBe('ran');
});
