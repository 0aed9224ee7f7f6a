import { setTimeout as delay } from 'node:timers/promises';
import { SynclineError } from '../../../definitions/errors.ts';
import type { Sessions } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { pluginOptions } from './plugin-options.ts';
import { lsnOf, positionAfter } from './positions.ts';
import type { Following } from './reading.ts';
import { expectSlot } from './slot.ts';

/**
 * Log that the server keeps and cannot decode: a damaged or missing segment, or a transaction that trips it up (15 knows
 * such: "could not map filenode" behind a slot that was made while others truncated). Waiting does not help, and the slot
 * looks well, so it is asked for the same log again, by itself, before anything is given up.
 */

const faults = /^(XX|58P01)/;
const probes = 3;
const probeEveryMs = 2_000;
const probedBytes = 1024 * 1024 * 1024;

/** Whether an error may mean that. */
export function isServerFault(error: SynclineError): boolean {
  return faults.test(error.details.sqlState ?? '');
}

/** Whether every one of a few attempts to decode what comes next fails in the server. Throws what else ended one. */
export async function isUnreadable(sessions: Sessions, following: Following): Promise<boolean> {
  const { signal } = following.request;
  for (let probe = 1; ; probe += 1) {
    if (await decodes(sessions, following)) return false;
    if (probe === probes) return true;
    await delay(probeEveryMs, undefined, { signal });
  }
}

async function decodes(sessions: Sessions, { request, handed }: Following): Promise<boolean> {
  const { address, signal } = request;
  const options = Object.entries(pluginOptions(request, 1)).flat().map(quoteLiteral);
  try {
    await sessions.use(
      `${address.job}/log`,
      async (session) => {
        const { end } = await expectSlot(session, address);
        const far = positionAfter(handed, probedBytes);
        const upTo = quoteLiteral(lsnOf(far < end ? far : end));
        await session.query(`SELECT pg_catalog.count(*) FROM pg_catalog.pg_logical_slot_peek_binary_changes(
          ${quoteLiteral(address.slot)}, ${upTo}, NULL, ${options.join(', ')})`);
      },
      signal,
    );
    return true;
  } catch (error) {
    if (error instanceof SynclineError && isServerFault(error)) return false;
    throw error;
  }
}
