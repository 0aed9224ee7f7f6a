import { type JobKind, jobKinds } from './contracts/job.ts';
import { sortDiagnostics } from './diagnostics.ts';
import type { Diagnostic } from './diagnostics.ts';
import { kindJsonSchema } from './json-schema.ts';
import { type JobDefinition, jobShapes, plannedKinds } from './schema/kinds.ts';
import { issueDiagnostics, valueAt } from './shape-issues.ts';
import { nearest } from './spelling.ts';
import { readYaml } from './yaml-documents.ts';
import type { FileContext, Span, YamlDocument, YamlScalar } from './yaml-documents.ts';

/** One document of a job file: checked, with amounts read and its defaults filled in but not yet spread over tables. */
export interface ParsedJob {
  readonly kind: JobKind;
  readonly name: string;
  readonly file: string;
  /** Where the document begins, from 1. */
  readonly line: number;
  readonly definition: JobDefinition;
}

/** `jobs` is empty as soon as there is one diagnostic: nothing is ever done in part. */
export interface ParsedJobs {
  readonly jobs: readonly ParsedJob[];
  readonly diagnostics: readonly Diagnostic[];
}

export interface JobFile {
  readonly file: string;
  readonly text: string;
}

export function parseJobFile(text: string, options: { readonly file: string }): ParsedJobs {
  return parseJobFiles([{ file: options.file, text }]);
}

/** All files at once: names must differ over all of them, and an error in one submits none. */
export function parseJobFiles(files: readonly JobFile[]): ParsedJobs {
  const names: NameUse[] = [];
  const jobs: ParsedJob[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const { file, text } of files) {
    const found = readJobFile(text, file, names);
    jobs.push(...found.jobs);
    diagnostics.push(...sortDiagnostics(found.diagnostics));
  }
  return { jobs: diagnostics.length > 0 ? [] : jobs, diagnostics };
}

interface NameUse {
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

function readJobFile(
  text: string,
  file: string,
  names: NameUse[],
): { jobs: ParsedJob[]; diagnostics: Diagnostic[] } {
  const { context, documents, diagnostics: syntax } = readYaml(text, file);
  if (syntax.length > 0) return { jobs: [], diagnostics: [...syntax] };
  if (documents.length === 0) {
    return {
      jobs: [],
      diagnostics: [context.diagnose([0, 1], 'the file holds no job', '`syncline init` writes an example')],
    };
  }
  const jobs: ParsedJob[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const document of documents) {
    diagnostics.push(...nameFaults(document, context, names));
    const parsed = readJob(document, context);
    diagnostics.push(...parsed.diagnostics);
    if (parsed.job !== null) jobs.push(parsed.job);
  }
  return { jobs, diagnostics };
}

function nameFaults(document: YamlDocument, context: FileContext, names: NameUse[]): Diagnostic[] {
  const name = valueAt(document.value, ['name']);
  if (typeof name !== 'string') return [];
  const fault = context.diagnose(document.locate(['name'], 'value'), `job name \`${name}\` is used twice`);
  const earlier = names.find((use) => use.name === name);
  if (earlier === undefined) {
    names.push({ name, file: context.file, line: fault.line });
    return [];
  }
  return [{ ...fault, hint: `it is also at ${earlier.file}:${earlier.line}` }];
}

function readJob(
  document: YamlDocument,
  context: FileContext,
): { job: ParsedJob | null; diagnostics: Diagnostic[] } {
  const references = document.scalars.flatMap((scalar) => referenceFaults(scalar, context));
  const kind = kindOf(document, context);
  if (typeof kind !== 'string') return { job: null, diagnostics: [...references, kind] };
  const result = jobShapes[kind].safeParse(document.value);
  if (!result.success) {
    const shape = { file: context, document, schema: kindJsonSchema(kind) };
    const faults = issueDiagnostics(result.error.issues, shape);
    // What is wrong with a text that holds a reference is the reference.
    const other = faults.filter(
      (fault) => !references.some(({ line, column }) => line === fault.line && column === fault.column),
    );
    return { job: null, diagnostics: [...references, ...other] };
  }
  const { line } = context.diagnose(document.locate([], 'value'), '');
  const definition = result.data;
  return {
    job: { kind: definition.kind, name: definition.name, file: context.file, line, definition },
    diagnostics: references,
  };
}

function referenceFaults(scalar: YamlScalar, context: FileContext): Diagnostic[] {
  if (!scalar.text.includes('${')) return [];
  const message =
    '`${…}` is not filled in here: a job file is shown in the Temporal UI and kept in its history';
  return [
    context.diagnose(scalar.span, message, 'put it under `stores` in syncline.yaml and name the store'),
  ];
}

function kindOf(document: YamlDocument, context: FileContext): JobKind | Diagnostic {
  const { value } = document;
  const whole = document.locate([], 'value');
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return context.diagnose(whole, 'a job is a mapping', 'begin with `kind: copy`');
  }
  const kind = valueAt(value, ['kind']);
  if (kind === undefined) {
    const key = nearest('kind', Object.keys(value));
    const span: Span = key === null ? whole : document.locate([key], 'key');
    return context.diagnose(span, 'missing key `kind`', 'write `kind: copy`');
  }
  const known = jobKinds.find((one) => one === kind);
  if (known !== undefined) return known;
  return kindFault(kind, document.locate(['kind'], 'value'), context);
}

function kindFault(kind: unknown, span: Span, context: FileContext): Diagnostic {
  const built = Object.keys(jobShapes);
  if (typeof kind === 'string' && plannedKinds.includes(kind)) {
    const message = `\`kind\`: \`${kind}\` is not available in this version`;
    return context.diagnose(span, message, `available is ${built.map((name) => `\`${name}\``).join(', ')}`);
  }
  const near = typeof kind === 'string' ? nearest(kind, [...built, ...plannedKinds]) : null;
  const message = `\`kind\`: expected ${built.map((name) => `\`${name}\``).join(' or ')}`;
  return context.diagnose(span, message, near === null ? null : `did you mean \`${near}\`?`);
}
