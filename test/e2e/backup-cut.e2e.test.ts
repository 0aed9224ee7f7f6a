import { describe, expect, it } from 'vitest';
import { BankClients, bankTables } from './lab/bank.ts';
import { directoryPlace } from './lab/file-place.ts';
import { leftovers } from './lab/link-rig.ts';
import { type BaseRig, createBaseRig } from './lab/rig.ts';
import { sharedPlace } from './lab/shared-place.ts';

/** Backups of a bank at work: without a snapshot that is held, what comes back is the bank of one instant. */

const job = (name: string): string => `
kind: backup-restore
name: ${name}
source: { store: source, tables: ["public.*"], chunkBytes: 600KB }
backup: { store: vault, path: bank/, consistency: cut }
transfer: { to: { store: far, path: bank/ } }
restore: { store: target, createTables: true }
run: { parallel: 2, throttle: 3MB/s }
onFailure: { mode: slow, backoff: { initial: 50ms, max: 500ms } }
`;

const sums = `SELECT (SELECT sum(abalance) FROM public.accounts) AS accounts, (SELECT sum(tbalance) FROM public.tellers) AS tellers,
  (SELECT sum(bbalance) FROM public.branches) AS branches, (SELECT sum(delta) FROM public.history) AS history,
  (SELECT count(*) FROM public.history) AS payments`;

describe('a backup at a cut of a bank at work', () => {
  it.each(['swap.beforeCommit:kill:2', 'cut.beforeNote:kill'])(
    'brings back one instant of it: %s',
    async (fault) => {
      const [vault, far] = [await directoryPlace(), await directoryPlace()];
      const stores = { vault: vault.entry, far: far.entry };
      const rig = await createBaseRig(sharedPlace(), { stores });
      try {
        await Promise.race([expectOneInstant(rig, fault), rig.crash]);
      } finally {
        await rig.end();
        await Promise.all([vault.end(), far.end()]);
      }
    },
  );
});

async function expectOneInstant(rig: BaseRig, fault: string): Promise<void> {
  await rig.source.query(bankTables);
  await rig.source.query('ALTER TABLE public.history ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY');
  const clients = new BankClients(rig.source.url, 8, 15);
  try {
    const first = await rig.startWorker({ SYNCLINE_FAULT: fault });
    const run = await rig.submitText(job(rig.name));
    if (fault.includes('kill')) {
      expect(await first.ended).toBe('SIGKILL');
      await rig.startWorker();
    }
    const ended = await run.ended();
    expect(ended, JSON.stringify(ended)).toMatchObject({
      kind: 'result',
      result: { state: 'done', skipped: [] },
    });
    const [found] = await rig.target.query<Record<string, string>>(sums);
    const { payments, ...all } = found ?? {};
    expect(Number(payments)).toBeGreaterThan(0);
    expect(new Set(Object.values(all)).size, JSON.stringify(all)).toBe(1);
    expect((await leftovers(rig)).filter((what) => !what.startsWith('schema'))).toEqual([]);
  } finally {
    await clients.stop();
  }
}
