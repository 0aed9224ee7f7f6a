import { readFileSync } from 'node:fs';
import type { ResolvedJob } from '../definitions/contracts/job.ts';
import { type Diagnostic, renderDiagnostic } from '../definitions/diagnostics.ts';
import { SynclineError } from '../definitions/errors.ts';
import { type JobFile, parseJobFiles } from '../definitions/parse.ts';
import { definitionHash, resolveJob } from '../definitions/resolve.ts';
import type { StoresFile } from '../definitions/stores-file.ts';
import { queuesOf, type SiteQueues } from './sites.ts';

export interface SubmittableJob {
  readonly file: string;
  readonly job: ResolvedJob;
  readonly definitionHash: string;
  /** Which workers its stages go to, by the submitter's syncline.yaml. */
  readonly queues?: SiteQueues;
}

/** Every fault of every file, found before anything was done. */
export class InvalidJobFiles extends SynclineError {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[], files: readonly JobFile[]) {
    const textOf = (file: string): string => files.find((one) => one.file === file)?.text ?? '';
    const rendered = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, textOf(diagnostic.file)));
    const count = diagnostics.length === 1 ? '1 error' : `${diagnostics.length} errors`;
    super('definition.invalid', `${rendered.join('\n')}\n${count}; nothing was submitted.`);
    this.diagnostics = diagnostics;
  }
}

/** All jobs of all files, or none. Errors: `definition.invalid`. */
export function readJobFiles(paths: readonly string[]): SubmittableJob[] {
  const files = paths.map((file) => ({ file, text: readText(file) }));
  const { jobs, diagnostics } = parseJobFiles(files);
  if (diagnostics.length > 0) throw new InvalidJobFiles(diagnostics, files);
  return jobs.map((parsed) => {
    const job = resolveJob(parsed);
    return { file: parsed.file, job, definitionHash: definitionHash(job) };
  });
}

/** The same, ready to be submitted. Errors: also `definition.missingSecret`. */
export function readSubmittableJobs(
  paths: readonly string[],
  config: Pick<StoresFile, 'stores'>,
): SubmittableJob[] {
  return readJobFiles(paths).map((one) => {
    const queues = queuesOf(one.job, config);
    return queues === undefined ? one : { ...one, queues };
  });
}

/** `-` is the standard input. */
function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new SynclineError('definition.invalid', `The file ${file} cannot be read.`, { cause });
  }
}
