import type { ResolvedDuplicationJob } from '../../definitions/contracts/job.ts';
import type { ErrorCode } from '../../definitions/errors.ts';
import { loadsOf } from '../../planning/link-load.ts';
import type { LoadedChunk, LoadLedger, StoredLoad } from '../../stores/spi/load-ledger.ts';
import type { LinkTable } from '../../stores/spi/log-target.ts';
import { displayName } from '../../stores/spi/tables.ts';
import type { Asking } from './asking.ts';
import type { JobAddress } from './job-address.ts';
import { openLedger } from './ledger.ts';
import { duplicationOf, openLink } from './links.ts';

/** A table of a job at one target, as its ledger knows it. */
export interface JobTable {
  readonly table: string;
  /** Store of the target; null for a kind that has one anyway. */
  readonly target: string | null;
  readonly targetTable: string;
  /** Null where a plan is too long to be counted by table. */
  readonly chunks: number | null;
  readonly loaded: number | null;
  readonly skipped: number | null;
  /** `loaded`, and of a duplication `live` when its log is followed; the others say why it is not. */
  readonly state: 'loading' | 'loaded' | 'live' | LinkTable['state'];
  readonly code: ErrorCode | null;
  readonly reason: string | null;
}

/** So many chunks are counted one by one. */
const countedChunks = 20_000;

/** Tables of the latest load of a job; of a duplication, at every target. Errors: those of `openLedger`. */
export async function tablesOf(asking: Asking, address: JobAddress): Promise<readonly JobTable[]> {
  if (address.kind === 'duplication') {
    const job = await duplicationOf(asking, address);
    const found: JobTable[] = [];
    for (const { store } of job.targets) found.push(...(await tablesOfLink(asking, job, store)));
    return found;
  }
  const { ledger, load } = await openLedger(asking, { address });
  if (load === null) return [];
  const chunks = await chunksOf(ledger, [load], load.ref.load);
  const { unitsDone, unitsSkipped } = await ledger.totals(load.ref);
  const whole = unitsDone + unitsSkipped >= load.totals.units ? 'loaded' : 'loading';
  return load.tables.map((plan) => ({
    ...countsOf(displayName(plan.source), chunks, whole),
    ...{ table: displayName(plan.source), target: null, targetTable: displayName(plan.target) },
    ...{ code: null, reason: null },
  }));
}

async function tablesOfLink(
  asking: Asking,
  job: ResolvedDuplicationJob,
  store: string,
): Promise<readonly JobTable[]> {
  const { ref, target, loads } = openLink(await asking.stores(), { job: job.name, target: store });
  const state = await target.read(ref);
  if (state === null) return [];
  const first = loadsOf(state.generation);
  const known = await loads.plans.all(job.name);
  const mine = known.filter((one) => one.ref.load === first || one.ref.load.startsWith(`${first}/`));
  const chunks = await chunksOf(loads, mine, first);
  const special = new Map((await target.tables(ref)).map((one) => [one.table, one]));
  const tables = new Map(
    mine.flatMap(({ tables: plans }) => plans.map((plan) => [displayName(plan.source), plan])),
  );
  const whole = state.consistentAt === null ? 'loading' : 'loaded';
  return [...tables].map(([table, plan]): JobTable => {
    const counts = countsOf(table, chunks, whole);
    const odd = special.get(table);
    return {
      ...counts,
      ...{ table, target: store, targetTable: displayName(plan.target) },
      state: odd?.state ?? (counts.state === 'loaded' ? 'live' : counts.state),
      code: odd?.code ?? null,
      reason: odd?.message ?? null,
    };
  });
}

/** Null: there are too many, or the ledger does not tell them apart. */
async function chunksOf(
  ledger: LoadLedger,
  loads: readonly StoredLoad[],
  prefix: string,
): Promise<readonly LoadedChunk[] | null> {
  const units = loads.reduce((sum, { totals }) => sum + totals.units, 0);
  const [newest] = loads;
  if (newest === undefined || units > countedChunks) return null;
  const found = await ledger.chunks?.(newest.ref.job, prefix);
  return found?.filter(({ load }) => loads.some(({ ref }) => ref.load === load)) ?? null;
}

type LoadState = 'loading' | 'loaded';

/** Of one table; `whole` is the state of all when they are not told apart. */
function countsOf(
  table: string,
  chunks: readonly LoadedChunk[] | null,
  whole: LoadState,
): Pick<JobTable, 'chunks' | 'loaded' | 'skipped'> & { readonly state: LoadState } {
  if (chunks === null) return { chunks: null, loaded: null, skipped: null, state: whole };
  const mine = chunks.filter(({ plan }) => displayName(plan.source) === table);
  const loaded = mine.filter(({ complete }) => complete).length;
  const skipped = mine.filter((chunk) => chunk.skipped).length;
  const state = loaded + skipped === mine.length ? 'loaded' : 'loading';
  return { chunks: mine.length, loaded, skipped, state };
}
