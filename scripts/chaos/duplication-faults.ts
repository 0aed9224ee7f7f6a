import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { queryOnce } from '../../test/e2e/lab/database.ts';
import type { JobRun } from '../../test/e2e/lab/job-run.ts';
import type { LinkRig } from '../../test/e2e/lab/link-rig.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { LinkFault } from './duplication-plan.ts';
import { commit, describeFault, type Stage } from './faults.ts';

export interface LinkStage extends Stage {
  readonly rig: LinkRig;
  readonly run: JobRun;
}

/** What a plan says goes wrong, done. */
export class LinkFaults {
  private readonly stage: LinkStage;

  constructor(stage: LinkStage) {
    this.stage = stage;
  }

  async commit(fault: LinkFault): Promise<void> {
    const { rig } = this.stage;
    switch (fault.kind) {
      case 'killWorker':
      case 'killServer':
      case 'breakNetwork':
        await commit(fault, this.stage);
        return;
      case 'breakOff':
        rig.network[fault.server].breakOff(fault.bytes, fault.direction);
        return;
      case 'loseAnswers':
        rig.network[fault.server].swallowAnswers();
        await delay(fault.forMs);
        rig.network[fault.server].reset();
        rig.network[fault.server].heal();
        return;
      case 'slowTarget':
        rig.network.target.delay(fault.answerMs);
        await delay(fault.forMs);
        rig.network.target.heal();
        return;
      case 'lockTable':
        await lockTable(rig.target.url, fault.table, fault.forMs);
        return;
      case 'dropSlot':
        await this.dropSlot();
        return;
      case 'pauseJob':
        await this.pauseJob(fault.forMs);
    }
  }

  private async dropSlot(): Promise<void> {
    const { source } = this.stage.rig;
    await eventually(
      async () => {
        await queryOnce(
          source.url,
          `SELECT pg_terminate_backend(active_pid, 2000) FROM pg_replication_slots
            WHERE database = current_database() AND active_pid IS NOT NULL;
           SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`,
        );
        return true;
      },
      { withinMs: 20_000, everyMs: 10 },
    );
  }

  /** An order that nobody answers in time is not repeated: the workflow has it, or it has not. */
  private async pauseJob(forMs: number): Promise<void> {
    const { run } = this.stage;
    await run.order('pause').catch(() => undefined);
    await delay(forMs);
    await eventually(
      async () => {
        await run.order('resume').catch(() => undefined);
        return (await run.status())?.state === 'running';
      },
      { everyMs: 500, waitingFor: 'the job to run again' },
    );
  }
}

/** As a user who changes the table would, by a session that commits nothing. */
async function lockTable(url: string, table: string, forMs: number): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(`BEGIN; SET LOCAL lock_timeout = '3s'; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    await delay(forMs);
  } catch {
    // The table is not there yet, or somebody else has it: then nobody waits for us.
  } finally {
    await client.end().catch(() => undefined);
  }
}

export function describeLinkFault(fault: LinkFault): string {
  switch (fault.kind) {
    case 'killWorker':
    case 'killServer':
    case 'breakNetwork':
      return describeFault(fault);
    case 'breakOff':
      return `network to ${fault.server}: breaks off after ${fault.bytes} bytes ${fault.direction}`;
    case 'loseAnswers':
      return `network to ${fault.server}: no answer arrives for ${fault.forMs} ms, then a reset`;
    case 'slowTarget':
      return `network to target: every piece ${fault.answerMs} ms later, for ${fault.forMs} ms`;
    case 'lockTable':
      return `${fault.table} of the target is locked for ${fault.forMs} ms`;
    case 'dropSlot':
      return 'the slot is dropped';
    case 'pauseJob':
      return `paused for ${fault.forMs} ms`;
  }
}
