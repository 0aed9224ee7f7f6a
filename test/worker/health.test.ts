import { expect, onTestFinished, test } from 'vitest';
import { serveHealth, type WorkerHealth } from '../../worker/health.ts';

const running: WorkerHealth = {
  status: 'running',
  taskQueue: 'syncline',
  namespace: 'default',
  activitiesInFlight: 2,
  stores: ['prod'],
};

async function served(health: () => WorkerHealth): Promise<string> {
  const endpoint = await serveHealth('127.0.0.1:0', health);
  onTestFinished(() => endpoint.close());
  return `http://${endpoint.address}`;
}

test('a running worker answers 200 and says what it does', async () => {
  const response = await fetch(`${await served(() => running)}/health`);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual(running);
});

test('a draining worker answers 503', async () => {
  const response = await fetch(`${await served(() => ({ ...running, status: 'draining' }))}/health`);
  expect(response.status).toBe(503);
});

test('nothing else is served', async () => {
  expect((await fetch(`${await served(() => running)}/`)).status).toBe(404);
});

test('an address in use is an error that names it', async () => {
  const taken = (await served(() => running)).replace('http://', '');
  await expect(serveHealth(taken, () => running)).rejects.toThrow(taken);
});
