import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { BankAuditor, BankClients, bankContents, bankTables } from './lab/bank.ts';
import { leftovers, linkOf, untilCaughtUp } from './lab/link-rig.ts';
import { type BaseRig, createBaseRig } from './lab/rig.ts';
import { sharedPlace } from './lab/shared-place.ts';

/** A live copy of a bank at work, whose worker is killed, hangs or fails at every named point of load and log. */

const job = (name: string): string => `
kind: duplication
name: ${name}
source: { store: source, tables: ["public.*"], chunkBytes: 600KB }
target: target
load: { parallel: 2, throttle: 3MB/s, createTables: true }
log: { batch: { changes: 2000, every: 20ms }, keyless: insertsOnly }
onFailure: { mode: slow, backoff: { initial: 50ms, max: 500ms } }
`;

describe('a bank that is followed through load and log', () => {
  it.each([
    'load.mid:kill:2',
    'batch.beforeCommit:kill:20',
    'batch.afterCommit:kill:3',
    'confirm.before:kill:20',
    'batch.beforeCommit:error:5',
    'batch.afterCommit:hang:20',
  ])('stays whole and loses nothing: %s', async (fault) => {
    const rig = await createBaseRig(sharedPlace(), { stores: {} });
    try {
      await Promise.race([expectWhole(rig, fault), rig.crash]);
    } finally {
      await rig.end();
    }
  });
});

async function expectWhole(rig: BaseRig, fault: string): Promise<void> {
  await rig.source.query(bankTables);
  const clients = new BankClients(rig.source.url, 8, 15);
  const auditor = new BankAuditor(rig.target);
  try {
    await expectWholeUnder({ rig, clients, auditor }, fault);
  } finally {
    await Promise.allSettled([clients.stop(), auditor.stop()]);
  }
}

interface Bank {
  readonly rig: BaseRig;
  readonly clients: BankClients;
  readonly auditor: BankAuditor;
}

async function expectWholeUnder({ rig, clients, auditor }: Bank, fault: string): Promise<void> {
  const first = await rig.startWorker({ SYNCLINE_FAULT: fault });
  const run = await rig.submitText(job(rig.name));
  if (fault.includes('kill')) expect(await first.ended).toBe('SIGKILL');
  // It goes on saying that it lives.
  else if (fault.includes('hang')) await delay(8_000);
  if (!fault.includes('error')) {
    await first.kill();
    await rig.startWorker();
  }
  await eventually(() => auditor.looks > 20, { everyMs: 50 });
  await clients.stop();
  await untilCaughtUp({ source: rig.source, link: () => linkOf(rig.target, rig.name) }, 60_000);
  await auditor.stop();
  expect(auditor.torn).toEqual([]);
  expect(await bankContents(rig.target)).toEqual(await bankContents(rig.source));
  await run.order('remove');
  expect(await run.ended()).toMatchObject({ kind: 'result', result: { state: 'removed' } });
  expect(await leftovers(rig)).toEqual([]);
}
