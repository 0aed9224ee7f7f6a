import { setTimeout as delay } from 'node:timers/promises';
import { sumLedger } from '../../test/e2e/lab/checks.ts';
import type { OwnPlace } from '../../test/e2e/lab/own-place.ts';
import { createRig, type Rig } from '../../test/e2e/lab/rig.ts';
import { eventually } from '../../test/support/eventually.ts';
import { type Damage, damageOf, type Traffic, trafficOf } from './damage.ts';
import { commit, describeFault, Staff } from './faults.ts';
import { complaintOf } from './outcome.ts';
import type { ChaosPlan } from './plan.ts';
import { startTornReader } from './torn-reader.ts';

export interface ChaosRun extends Damage, Traffic {
  readonly faults: number;
  readonly torn: number;
  /** Null: right. Otherwise why the run did not end as it should. */
  readonly complaint: string | null;
}

/** What a seed decides for one kind of job, and servers that only this kind needs. */
export interface Trials {
  trial(seed: number): {
    readonly plan: object;
    /** A few words. */
    readonly title: string;
    run(): Promise<ChaosRun>;
  };
  close(): Promise<void>;
}

export interface ChaosScene {
  readonly place: OwnPlace;
  readonly say: (line: string) => void;
}

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

async function untilFirstUnit(rig: Rig): Promise<void> {
  await eventually(async () => (await sumLedger(rig.target, rig.name)).units > 0, {
    everyMs: 20,
  });
}
