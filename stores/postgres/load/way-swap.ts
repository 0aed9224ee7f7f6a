import type { RowStream } from '../../spi/rows.ts';
import { copyRows, type WayContext } from './way-context.ts';
import { inSyncline, shadowName } from './names.ts';
import { buildIndexes, createShadowStatement, dressStatements } from './shadow.ts';
import { swapStatements, withShortLocks } from './swap.ts';
import type { Way } from './way.ts';

/** A whole chunk into a fresh table (frozen: it is visible to every reader at commit), exchanged with the old leaf. */
export function createSwapWay(context: WayContext): Way {
  const { session, facts, request } = context;
  const shadow = shadowName(request.ref, request.unit.chunk);
  return {
    async fill(rows: RowStream) {
      await session.query(createShadowStatement(facts, shadow, facts.options));
      return await copyRows(context, { into: inSyncline(shadow), rows, freeze: true });
    },
    build: () => buildIndexes(session, facts, shadow),
    scan: () => inSyncline(shadow),
    publish: (onBlocked) => publishSwap(context, shadow, onBlocked),
  };
}

export async function publishSwap(
  context: WayContext,
  shadow: string,
  onBlocked: (waitedMs: number) => void,
): Promise<void> {
  const { session, facts, request } = context;
  const dress = dressStatements(facts, shadow);
  if (dress.length > 0) await session.query(dress.join('; '));
  await withShortLocks(session, {
    statements: swapStatements(facts, shadow),
    facts,
    signal: request.signal,
    onBlocked,
  });
}
