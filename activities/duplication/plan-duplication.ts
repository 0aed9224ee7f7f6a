import type { PlanReport } from '../../definitions/contracts/copy.ts';
import type { LinkInput } from '../../definitions/contracts/duplication.ts';
import { reportOf } from '../copy/prepare-copy.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { describeLink } from './describe-link.ts';
import { linkOf } from './link.ts';

type PlanInput = Omit<LinkInput, 'target' | 'generation'>;

/** What the load of every link would be, and what stands in the way of its log. Writes nothing. */
export async function planDuplication(
  dependencies: ActivityDependencies,
  input: PlanInput,
): Promise<PlanReport> {
  const reports: PlanReport[] = [];
  for (const { store } of input.job.targets) {
    const link = linkOf(dependencies.stores, { ...input, target: store, generation: 1 });
    const { described, findings } = await describeLink(dependencies, link);
    const report = await reportOf({ ...described, findings });
    reports.push(input.job.load.checkpoint ? report : { ...report, chunks: 0, bytes: 0 });
  }
  const all = <T>(part: (report: PlanReport) => readonly T[]): T[] => {
    const texts = new Map(reports.flatMap(part).map((one) => [JSON.stringify(one), one]));
    return [...texts.values()];
  };
  return {
    chunks: reports.reduce((sum, report) => sum + report.chunks, 0),
    bytes: reports.reduce((sum, report) => sum + report.bytes, 0),
    tables: reports.flatMap((report) => report.tables),
    // From consistentAt on the target is always one instant of the source.
    consistency: 'snapshot',
    slowPath: all((report) => report.slowPath),
    notCarried: all((report) => report.notCarried),
    findings: all((report) => report.findings),
  };
}
