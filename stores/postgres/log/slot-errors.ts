import { SynclineError } from '../../../definitions/errors.ts';
import type { LinkAddress } from '../../spi/log.ts';

export function slotLost({ slot }: LinkAddress, reason: string): SynclineError {
  return new SynclineError('log.slotLost', `Replication slot ${slot} is lost (${reason}).`);
}

export function slotBusy({ slot }: LinkAddress): SynclineError {
  return new SynclineError('log.slotBusy', `Replication slot ${slot} is read by another session.`);
}

/** Of statements that read a slot: states that say what is wrong with it. */
export function explainSlot(error: SynclineError, address: LinkAddress): SynclineError {
  switch (error.details.sqlState) {
    case '55006':
      return slotBusy(address);
    case '42704':
      return slotLost(address, 'the slot or its publication is not there any more');
    case '55000':
      return slotLost(address, 'the server has invalidated it');
    default:
      return error;
  }
}
