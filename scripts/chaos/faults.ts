import { setTimeout as delay } from 'node:timers/promises';
import type { OwnPlace } from '../../test/e2e/lab/own-place.ts';
import type { BaseRig } from '../../test/e2e/lab/rig.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { HttpFaults } from '../../test/support/http-faults.ts';
import type { Sshd } from '../../test/support/sshd.ts';
import type { WorkerProcess } from '../../test/support/worker-process.ts';
import type { FileFault, PlannedFault, Server } from './plan.ts';

/** The workers of a run, oldest first. */
export class Staff {
  ownFaults = 0;
  private readonly rig: BaseRig;
  private readonly workers: WorkerProcess[] = [];

  constructor(rig: BaseRig) {
    this.rig = rig;
  }

  async hire(fault: string): Promise<void> {
    if (fault !== '') this.ownFaults += 1;
    // While a network or a server is away a worker may not come up at once; a user starts it again.
    const worker = await eventually(
      () => this.rig.startWorker(fault === '' ? {} : { SYNCLINE_FAULT: fault }),
      { withinMs: 180_000, everyMs: 200 },
    );
    this.workers.push(worker);
  }

  async killOldest(): Promise<void> {
    await this.workers.shift()?.kill();
  }

  /** Only the youngest stays. */
  async killOthers(): Promise<void> {
    while (this.workers.length > 1) await this.killOldest();
  }
}

export interface Stage {
  readonly place: OwnPlace;
  readonly rig: BaseRig;
  readonly staff: Staff;
  /** Servers of files, where the run has them. */
  readonly s3?: HttpFaults;
  readonly sshd?: Sshd;
}

export async function commit(fault: PlannedFault | FileFault, stage: Stage): Promise<void> {
  const { place, rig, staff, s3, sshd } = stage;
  switch (fault.kind) {
    case 'killWorker':
      await staff.killOldest();
      await staff.hire(fault.nextWorkerFault);
      return;
    case 'killServer':
      await killServer(place, fault.server, fault.awayMs);
      return;
    case 'breakNetwork': {
      const network = rig.network[fault.server];
      network[fault.how]();
      await delay(fault.forMs);
      network.heal();
      return;
    }
    case 'failS3':
      s3?.fail({ on: new RegExp(`^${fault.method} `), fault: fault.fault, times: fault.times });
      return;
    case 'killSshd':
      await sshd?.kill();
      await delay(fault.awayMs);
      await sshd?.start();
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

export function describeFault(fault: PlannedFault | FileFault): string {
  switch (fault.kind) {
    case 'killWorker':
      return `kill -9 of a worker; the next one ${fault.nextWorkerFault === '' ? 'is sound' : `has ${fault.nextWorkerFault}`}`;
    case 'killServer':
      return `kill -9 of ${fault.server}, back after ${fault.awayMs} ms`;
    case 'breakNetwork':
      return `network to ${fault.server}: ${fault.how} for ${fault.forMs} ms`;
    case 'failS3':
      return `S3, ${fault.times} times for ${fault.method}: ${JSON.stringify(fault.fault)}`;
    case 'killSshd':
      return `kill -9 of sshd, back after ${fault.awayMs} ms`;
  }
}
