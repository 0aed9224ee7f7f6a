import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { searchAttributeTypes } from '../../../definitions/contracts/names.ts';
import { findFreePort } from '../../../worker/local/free-port.ts';
import { sendSignal } from '../../../worker/local/process-tree.ts';
import { startTemporal } from '../../../worker/local/temporal.ts';
import { eventually } from '../../support/eventually.ts';
import { temporalAddress } from '../../support/temporal.ts';
import { startOwner } from './owner.ts';

describe('a local Temporal server', () => {
  it('knows our search attributes', async () => {
    const connection = await Connection.connect({ address: temporalAddress() });
    try {
      const { customAttributes } = await connection.operatorService.listSearchAttributes({
        namespace: 'default',
      });
      expect(Object.keys(customAttributes)).toEqual(
        expect.arrayContaining(Object.keys(searchAttributeTypes)),
      );
    } finally {
      await connection.close();
    }
  });

  it('shows its UI, and with a database file remembers a workflow after kill -9', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'syncline-temporal-test-'));
    const options = { alwaysOwn: true, ui: true, dbFilename: join(folder, 'temporal.db') };
    try {
      const first = await startTemporal(options);
      expect((await fetch(first.uiUrl ?? '')).status).toBe(200);
      await withClient(first.address, async (client) => {
        await client.workflow.start('nobodyRunsThis', { workflowId: 'remembered', taskQueue: 'none' });
      });
      await first.kill();
      expect(sendSignal(first.pid, 0)).toBe(false);
      const second = await startTemporal(options);
      await withClient(second.address, async (client) => {
        const { status } = await client.workflow.getHandle('remembered').describe();
        expect(status.name).toBe('RUNNING');
      });
      await second.stop();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('says so when TEMPORAL_ADDRESS names nobody', async () => {
    const before = process.env['TEMPORAL_ADDRESS'];
    process.env['TEMPORAL_ADDRESS'] = `127.0.0.1:${await findFreePort()}`;
    try {
      await expect(startTemporal()).rejects.toMatchObject({ code: 'temporal.unreachable' });
    } finally {
      if (before === undefined) delete process.env['TEMPORAL_ADDRESS'];
      else process.env['TEMPORAL_ADDRESS'] = before;
    }
  });

  it('does not outlive a killed owner', async () => {
    const owner = await startOwner('temporal');
    expect(sendSignal(owner.server.pid, 0)).toBe(true);
    await owner.kill();
    await eventually(() => !sendSignal(owner.server.pid, 0), { waitingFor: 'the end of the server' });
  });
});

async function withClient(address: string, use: (client: Client) => Promise<void>): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}
