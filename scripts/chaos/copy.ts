import { setTimeout as delay } from 'node:timers/promises';
import { sumLedger } from '../../test/e2e/lab/checks.ts';
import type { JobRun } from '../../test/e2e/lab/job-run.ts';
import type { OwnPlace } from '../../test/e2e/lab/own-place.ts';
import { createRig, type Rig } from '../../test/e2e/lab/rig.ts';
import type { WorkerProcess } from '../../test/support/worker-process.ts';
import { eventually } from '../../test/support/eventually.ts';
import { type Damage, damageOf, type Traffic, trafficOf } from './damage.ts';
import type { ChaosPlan, PlannedFault, Server } from './plan.ts';
import { startTornReader } from './torn-reader.ts';

export interface ChaosRun extends Damage, Traffic {
  readonly faults: number;
  readonly torn: number;
  /** Null: right. Otherwise why the run did not end as it should. */
  readonly complaint: string | null;
}

export interface ChaosScene {
  readonly place: OwnPlace;
  readonly say: (line: string) => void;
}

/** Longer than any plan can take on a busy machine. */
const patienceMs = 240_000;

/** One run of `copy` under the faults of a plan, on servers that are there. */
export async function runChaos(plan: ChaosPlan, { place, say }: ChaosScene): Promise<ChaosRun> {
  const rig = await createRig(place, plan.shape);
  try {
    const staff = new Staff(rig);
    const reader = startTornReader(rig.target, plan.shape);
    await Promise.all([staff.hire(plan.firstWorkerFault), staff.hire('')]);
    const run = await rig.submit();
    await untilFirstUnit(rig);
    for (const fault of plan.faults) {
      await delay(fault.afterMs);
      say(`  ${describeFault(fault)}`);
      await commit(fault, { place, rig, staff });
    }
    // A worker may have died of its own fault: somebody must be left.
    await staff.hire('');
    const complaint = await complaintOf(run);
    const torn = await reader.stop();
    const damage = await damageOf(rig, plan.shape);
    const traffic = await trafficOf(rig, rig.name, rig.network.source.bytesDown);
    return { ...damage, ...traffic, torn, complaint, faults: plan.faults.length + staff.ownFaults };
  } finally {
    await rig.end();
  }
}

/** The workers of a run, oldest first. */
class Staff {
  ownFaults = 0;
  private readonly rig: Rig;
  private readonly workers: WorkerProcess[] = [];

  constructor(rig: Rig) {
    this.rig = rig;
  }

  async hire(fault: string): Promise<void> {
    if (fault !== '') this.ownFaults += 1;
    // While a network or a server is away a worker may not come up at once; a user starts it again.
    const worker = await eventually(
      () => this.rig.startWorker(fault === '' ? {} : { SYNCLINE_FAULT: fault }),
      { withinMs: 60_000, everyMs: 200 },
    );
    this.workers.push(worker);
  }

  async killOldest(): Promise<void> {
    await this.workers.shift()?.kill();
  }
}

interface Stage {
  readonly place: OwnPlace;
  readonly rig: Rig;
  readonly staff: Staff;
}

async function commit(fault: PlannedFault, { place, rig, staff }: Stage): Promise<void> {
  switch (fault.kind) {
    case 'killWorker':
      await staff.killOldest();
      {
        await staff.hire(fault.nextWorkerFault);
        return;
      }
    case 'killServer': {
      await killServer(place, fault.server, fault.awayMs);
      return;
    }
    case 'breakNetwork': {
      const network = rig.network[fault.server];
      network[fault.how]();
      await delay(fault.forMs);
      network.heal();
    }
  }
}

async function killServer(place: OwnPlace, server: Server, awayMs: number): Promise<void> {
  if (server === 'temporal') {
    await place.restartTemporal(() => delay(awayMs));
    return;
  }
  const postgres = server === 'source' ? place.sourceServer : place.targetServer;
  await postgres.kill();
  await delay(awayMs);
  await postgres.restart();
}

async function untilFirstUnit(rig: Rig): Promise<void> {
  await eventually(async () => (await sumLedger(rig.target, rig.name)).units > 0, {
    withinMs: 60_000,
    everyMs: 20,
  });
}

async function complaintOf(run: JobRun): Promise<string | null> {
  const waiting = new AbortController();
  const late = delay(patienceMs, null, { signal: waiting.signal }).catch(() => null);
  const outcome = await Promise.race([run.ended(), late]);
  waiting.abort();
  if (outcome === null) return 'The job did not end.';
  if (outcome.kind !== 'result') return outcome.message;
  return outcome.result.state === 'done' && outcome.result.chunks.skipped === 0
    ? null
    : `It ended as ${outcome.result.state}, ${outcome.result.chunks.skipped} skipped.`;
}

function describeFault(fault: PlannedFault): string {
  switch (fault.kind) {
    case 'killWorker':
      return `kill -9 of a worker; the next one ${fault.nextWorkerFault === '' ? 'is sound' : `has ${fault.nextWorkerFault}`}`;
    case 'killServer':
      return `kill -9 of ${fault.server}, back after ${fault.awayMs} ms`;
    case 'breakNetwork':
      return `network to ${fault.server}: ${fault.how} for ${fault.forMs} ms`;
  }
}
