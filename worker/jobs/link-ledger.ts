import type { LinkStatus } from '../../definitions/contracts/duplication.ts';
import type { ResolvedDuplicationJob } from '../../definitions/contracts/job.ts';
import type { JobPhase } from '../../definitions/contracts/status.ts';
import { SynclineError } from '../../definitions/errors.ts';
import { loadsOf } from '../../planning/link-load.ts';
import { pegasusPhases } from '../../planning/link-phases.ts';
import type { LedgerTotals } from '../../stores/spi/load-ledger.ts';
import type { StoreProvider } from '../../stores/spi/store.ts';
import { type LinkLedger, openLink, type SeenLink, seeLink } from './links.ts';

/** What ledgers know of all links of a job when nobody else can be asked. */
export interface LinksReport extends LedgerTotals {
  readonly units: number;
  readonly plannedBytes: number;
  readonly links: readonly LinkStatus[];
}

/** The loads of the link that has the least of its chunks stand for the job, as in the status of a running one. */
export async function reportOfLinks(
  stores: StoreProvider,
  job: ResolvedDuplicationJob,
): Promise<LinksReport> {
  const asked = await Promise.all(job.targets.map(({ store }) => reportOfLink(stores, job, store)));
  const loads = asked.flatMap(({ sums }) => (sums === null ? [] : [sums]));
  const [first = nothing, ...others] = loads;
  const least = others.reduce((one, other) => (shareOf(other) < shareOf(one) ? other : one), first);
  return { ...least, links: asked.map(({ status }) => status) };
}

type Sums = Omit<LinksReport, 'links'>;

const nothing: Sums = {
  unitsDone: 0,
  unitsSkipped: 0,
  rows: 0,
  rowsHidden: 0,
  bytes: 0,
  units: 0,
  plannedBytes: 0,
};

function shareOf({ units, unitsDone }: Sums): number {
  return units === 0 ? 1 : unitsDone / units;
}

interface AskedLink {
  readonly status: LinkStatus;
  /** Null: it could not be asked. */
  readonly sums: Sums | null;
}

async function reportOfLink(
  stores: StoreProvider,
  job: ResolvedDuplicationJob,
  store: string,
): Promise<AskedLink> {
  try {
    const link = openLink(stores, { job: job.name, target: store });
    const seen = await seeLink(stores, job, link);
    const sums = seen === null ? nothing : await sumsOf(link, seen);
    return { status: statusOf(store, seen), sums };
  } catch (error) {
    // One target that is away holds nobody else up.
    if (!(error instanceof SynclineError)) throw error;
    const { code, message } = error;
    const unknown = { ...statusOf(store, null), needsAttention: true, reason: message, reasonCode: code };
    return { status: unknown, sums: null };
  }
}

/** Whether it is paused or stopped only the workflow knows. */
function statusOf(target: string, seen: SeenLink | null): LinkStatus {
  const phase: JobPhase = seen === null ? 'init' : seen.state.consistentAt === null ? 'load' : 'log';
  return {
    target,
    phase,
    pegasusPhase: pegasusPhases[phase],
    state: 'unknown',
    generation: seen?.state.generation ?? 1,
    needsAttention: false,
    reason: null,
    reasonCode: null,
    progress: seen?.progress ?? null,
  };
}

/** Over every load of the generation. */
async function sumsOf({ loads, ref }: LinkLedger, { state }: SeenLink): Promise<Sums> {
  const first = loadsOf(state.generation);
  const known = await loads.plans.all(ref.job);
  let sums = nothing;
  for (const load of known) {
    if (load.ref.load !== first && !load.ref.load.startsWith(`${first}/`)) continue;
    const totals = await loads.totals(load.ref);
    sums = {
      unitsDone: sums.unitsDone + totals.unitsDone,
      unitsSkipped: sums.unitsSkipped + totals.unitsSkipped,
      rows: sums.rows + totals.rows,
      rowsHidden: sums.rowsHidden + totals.rowsHidden,
      bytes: sums.bytes + totals.bytes,
      units: sums.units + load.totals.units,
      plannedBytes: sums.plannedBytes + load.totals.bytes,
    };
  }
  return sums;
}
