import type { KeyRange, OpenReading, TablePlan, UnitReading } from '../../../../stores/spi/chunk-source.ts';
import type { EarlierLoad } from '../../../../stores/spi/rows.ts';
import { requireCapability, type Store } from '../../../../stores/spi/store.ts';
import { contentOf } from '../../../conformance/streams.ts';
import { planOf, unitOf } from '../../../conformance/units.ts';

export interface Which extends Partial<TablePlan> {
  readonly range?: KeyRange;
  readonly snapshot?: string;
}

/** Opens a reading that can be asked for its content. */
export async function openMarked(store: Store, leaf: string, which: Which = {}): Promise<UnitReading> {
  const { range, snapshot, ...plan } = which;
  const request: OpenReading = {
    plan: planOf(leaf, { strategy: 'object', ...plan }),
    unit: unitOf(leaf, range === undefined ? {} : { range }),
    verify: 'digest',
    framed: false,
    job: 'marked',
    remembered: true,
    ...(snapshot === undefined ? {} : { snapshot }),
    signal: new AbortController().signal,
  };
  return await requireCapability(store, 'chunkSource').open(request);
}

export interface Read {
  /** Null where the store cannot tell. */
  readonly earlier: EarlierLoad | null;
  readonly digest: string;
  readonly text: string;
}

/** Reads a unit whole, as a backup does. */
export async function read(store: Store, leaf: string, which: Which = {}): Promise<Read> {
  const reading = await openMarked(store, leaf, which);
  try {
    const text = (await contentOf(reading.rows().bytes)).toString('latin1');
    const { rows } = await reading.copied();
    const content = (await reading.content?.()) ?? null;
    return {
      earlier: content === null ? null : { content, rows },
      digest: (await reading.digest()) ?? '',
      text,
    };
  } finally {
    await reading.close();
  }
}

/** What the next backup asks. */
export async function isUnchanged(
  store: Store,
  leaf: string,
  { earlier, ...which }: Which & { readonly earlier: EarlierLoad | null },
): Promise<boolean> {
  if (earlier === null) return false;
  const reading = await openMarked(store, leaf, which);
  try {
    return (await reading.unchangedSince?.(earlier)) ?? false;
  } finally {
    await reading.close();
  }
}
