import { setTimeout as delay } from 'node:timers/promises';
import { sumLedger } from '../../test/e2e/lab/checks.ts';
import type { JobRun } from '../../test/e2e/lab/job-run.ts';
import { createLinkRig, leftovers, type LinkRig, untilCaughtUp } from '../../test/e2e/lab/link-rig.ts';
import { type OwnPlace, startOwnPlace } from '../../test/e2e/lab/own-place.ts';
import { eventually } from '../../test/support/eventually.ts';
import { differencesBetween } from '../../test/support/workload/compare.ts';
import { Reader } from '../../test/support/workload/reader.ts';
import { startWorkload, type Workload } from '../../test/support/workload/workload.ts';
import type { ChaosRun, ChaosScene, Trials } from './copy.ts';
import { describeLinkFault, LinkFaults } from './duplication-faults.ts';
import { type DuplicationPlan, duplicationPlanOf, type LinkFault } from './duplication-plan.ts';
import { Staff } from './faults.ts';

/** Longer than any plan can take on a busy machine. */
const patienceMs = 600_000;
/** Meanwhile the workload goes on: what takes long is waited for at the end, when nobody writes. */
const patience = { withinMs: 30_000, everyMs: 50 };
const looksPerStage = 10;

export function openDuplicationScene(scene: ChaosScene): Trials {
  const places = new Map<string, Promise<OwnPlace>>([['18 18', Promise.resolve(scene.place)]]);
  const placeOf = ({ sourceVersion, targetVersion }: DuplicationPlan): Promise<OwnPlace> => {
    const key = `${sourceVersion} ${targetVersion}`;
    const place = places.get(key) ?? startOwnPlace({ sourceVersion, targetVersion });
    places.set(key, place);
    return place;
  };
  return {
    trial(seed) {
      const plan = duplicationPlanOf(seed);
      const { job, workload, sourceVersion, targetVersion } = plan;
      const title = `${sourceVersion} to ${targetVersion}, ${workload.shape.writers} writers, ${job.lanes} lanes`;
      return {
        ...{ plan, title },
        run: async () => await runDuplication(plan, { ...scene, place: await placeOf(plan) }),
      };
    },
    async close() {
      const own = [...places].filter(([key]) => key !== '18 18');
      await Promise.all(own.map(async ([, place]) => (await place).stop()));
    },
  };
}

async function runDuplication(plan: DuplicationPlan, scene: ChaosScene): Promise<ChaosRun> {
  const rig = await createLinkRig(scene.place, plan.workload.shape, plan.job);
  try {
    await rig.source.query(
      `ALTER DATABASE ${rig.source.name} SET logical_decoding_work_mem = '${plan.decodingMemory}'`,
    );
    return await new DuplicationTrial(plan, scene, rig).run();
  } finally {
    await rig.end();
  }
}

class DuplicationTrial {
  private readonly plan: DuplicationPlan;
  private readonly scene: ChaosScene;
  private readonly rig: LinkRig;
  private readonly staff: Staff;
  private readonly complaints: string[] = [];

  constructor(plan: DuplicationPlan, scene: ChaosScene, rig: LinkRig) {
    this.plan = plan;
    this.scene = scene;
    this.rig = rig;
    this.staff = new Staff(rig);
  }

  async run(): Promise<ChaosRun> {
    const { plan, rig, staff, scene } = this;
    const workload = startWorkload(rig.source.url, plan.workload);
    const reader = this.startReader();
    await delay(plan.beforeMs);
    await Promise.all([staff.hire(plan.firstWorkerFault), staff.hire('')]);
    const run = await rig.submit();
    const faults = new LinkFaults({ place: scene.place, rig, staff, run });
    await eventually(async () => (await rig.link()) !== null, { ...patience, waitingFor: 'the link' });
    await this.commitFaults(plan.early, faults);
    // A worker may have died of its own fault: somebody must be left.
    await staff.hire('');
    await this.untilLooked(reader);
    await this.commitFaults(plan.late, faults);
    await this.untilLooked(reader);
    await delay(plan.afterMs);
    await this.endWorkload(workload);
    // The others may hang.
    await staff.hire('');
    await staff.killOthers();
    await this.untilCaughtUp(run);
    const { looks, early, violations } = await reader.stop();
    scene.say(`  ${looks} looks at a consistent target, ${early} before`);
    const damage = await this.damage();
    const traffic = await this.traffic();
    await this.remove(run);
    const seen = (kind: string): number => violations.filter((one) => one.kind === kind).length;
    return {
      ...traffic,
      lost: damage.lost + seen('lost'),
      doubled: damage.doubled + seen('doubled'),
      torn: seen('torn'),
      different: false,
      faults: plan.early.length + plan.late.length + staff.ownFaults,
      complaint: this.complaints.length === 0 ? null : this.complaints.join(' '),
    };
  }

  private startReader(): Reader {
    const { rig, plan } = this;
    const said = new Set<string>();
    return new Reader({
      url: rig.target.url,
      // Only one lane promises that every instant is a commit boundary.
      isConsistent: plan.job.lanes === 1 ? rig.isConsistent : () => Promise.resolve(false),
      everyMs: 100,
      onViolation: ({ kind, what }) => {
        if (said.size >= 10 || said.has(what)) return;
        said.add(what);
        this.complaints.push(`${kind}: ${what}.`);
        this.scene.say(`  ${kind}: ${what}`);
      },
    });
  }

  private async commitFaults(planned: readonly LinkFault[], faults: LinkFaults): Promise<void> {
    for (const fault of planned) {
      await delay(fault.afterMs);
      this.scene.say(`  ${describeLinkFault(fault)}`);
      await faults.commit(fault);
    }
  }

  /** The reader has seen the target consistent, while it is written to. A link that takes long is waited for at the end. */
  private async untilLooked(reader: Reader): Promise<void> {
    const { looks } = reader.sightings;
    const isEnough = (): boolean => reader.sightings.looks >= looks + looksPerStage;
    if (this.plan.job.lanes === 1) await eventually(isEnough, patience).catch(() => undefined);
    else await eventually(async () => (await this.rig.link())?.consistent, patience).catch(() => undefined);
  }

  private async endWorkload(workload: Workload): Promise<void> {
    const written = await workload.stop();
    const { committed, rolledBack, refused, unknown } = written;
    this.scene.say(
      `  ${committed} transactions committed, ${rolledBack} rolled back, ${refused} refused, ${unknown} unknown`,
    );
  }

  private async untilCaughtUp(run: JobRun): Promise<void> {
    const waiting = new AbortController();
    const telling = this.tell(run, waiting.signal);
    try {
      await Promise.race([untilCaughtUp(this.rig, patienceMs), run.ended().then(notBefore)]);
    } catch (error) {
      this.complaints.push(`${String(error)} ${await this.whereItIs(run)}`);
    } finally {
      waiting.abort();
      await telling;
    }
  }

  private async tell(run: JobRun, signal: AbortSignal): Promise<void> {
    for (;;) {
      await delay(10_000, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      this.scene.say(`  waiting: ${await this.whereItIs(run)}`);
    }
  }

  private async whereItIs(run: JobRun): Promise<string> {
    const link = JSON.stringify(await this.rig.link());
    const status = await run.status().catch(() => null);
    if (status === null) return `link ${link}, no status.`;
    const { phase, state, reason, chunks } = status;
    const pending = (await pendingCalls(run).catch(() => [])).join(', ');
    return `link ${link}, ${phase}, ${state}, chunks ${JSON.stringify(chunks)}, ${reason ?? 'no reason'}; calls: ${pending}.`;
  }

  private async damage(): Promise<{ lost: number; doubled: number }> {
    const differences = await differencesBetween(this.rig.source.url, this.rig.target.url);
    const sum = { lost: 0, doubled: 0 };
    for (const { table, lost, doubled } of differences) {
      sum.lost += lost;
      sum.doubled += doubled;
      this.complaints.push(`${table}: ${lost} lost, ${doubled} doubled.`);
    }
    const dead = (await this.rig.link())?.dead ?? 0;
    if (dead > 0) this.complaints.push(`${dead} transactions were set aside.`);
    return sum;
  }

  /** Rows and changes that left the source, beyond one time each; what a killed worker had read ahead is among them. */
  private async traffic(): Promise<{ copiedBytes: number; recopiedBytes: number }> {
    const { rig } = this;
    const { bytes, rows, units } = await sumLedger(rig.target, rig.name);
    const logBytes = (await rig.link())?.bytes ?? 0;
    const copiedBytes = bytes + logBytes;
    const once = copiedBytes + rows * 5 + 200_000 + units * 2_000;
    return { copiedBytes, recopiedBytes: Math.max(0, rig.network.source.bytesDown - once) };
  }

  private async remove(run: JobRun): Promise<void> {
    await run.order('remove').catch((error: unknown) => this.complaints.push(`remove: ${String(error)}`));
    const late = delay(patienceMs, null, { ref: false });
    const outcome = await Promise.race([run.ended(), late]);
    if (outcome === null || outcome.kind !== 'result')
      this.complaints.push(`It ended by removal as ${outcome?.kind ?? 'nothing at all'}.`);
    const left = await leftovers(this.rig);
    if (left.length > 0) this.complaints.push(`After the removal there is ${left.join(', ')}.`);
  }
}

function notBefore(outcome: { readonly kind: string }): never {
  throw new Error(`The job ended by itself (${outcome.kind}): ${JSON.stringify(outcome)}`);
}

/** Activities that are under way or tried again, with why they failed last. */
async function pendingCalls({ access, workflowId }: JobRun): Promise<string[]> {
  const { raw } = await access.client.workflow.getHandle(workflowId).describe();
  return (raw.pendingActivities ?? []).map(
    ({ activityType, attempt, lastFailure, lastWorkerIdentity, heartbeatDetails }) => {
      const said = Buffer.from(heartbeatDetails?.payloads?.[0]?.data ?? []).toString('utf8');
      const who = `${activityType?.name ?? '?'} attempt ${String(attempt)} by ${lastWorkerIdentity ?? 'nobody'}`;
      return `${who} ${lastFailure?.message ?? ''} ${said}`;
    },
  );
}
