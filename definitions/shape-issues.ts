import type { z } from 'zod';
import type { Diagnostic } from './diagnostics.ts';
import { childSchema, keysOf, ownersOf } from './json-schema.ts';
import type { JsonSchema } from './json-schema.ts';
import { nearest } from './spelling.ts';
import type { FileContext, ValuePath, YamlDocument } from './yaml-documents.ts';

/** Turns what zod found into sentences at positions of the file. */

type Issue = z.core.$ZodIssue;

export interface ShapeContext {
  readonly file: FileContext;
  readonly document: YamlDocument;
  /** JSON Schema of the same shape: it knows which keys would have been right. */
  readonly schema: JsonSchema;
}

export function issueDiagnostics(issues: readonly Issue[], context: ShapeContext): Diagnostic[] {
  return issues.flatMap((issue) => diagnosticsOf(issue, context));
}

function diagnosticsOf(issue: Issue, context: ShapeContext): Diagnostic[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, context));
  if (issue.code === 'invalid_union') return unionDiagnostics(issue, path, context);
  if (issue.code === 'invalid_key') {
    const [inner] = issue.issues;
    const span = context.document.locate(path, 'key');
    return [
      context.file.diagnose(span, `name \`${String(path.at(-1))}\`: ${inner?.message ?? issue.message}`),
    ];
  }
  const value = valueAt(context.document.value, path);
  if (value === undefined && path.length > 0) return [missingKey(path, context)];
  const { message, hint } = sentenceOf(issue, value);
  return [context.file.diagnose(context.document.locate(path, 'value'), named(path, message), hint)];
}

/** Of the alternatives, the one that the value was meant to be: same type, so that its faults lie deeper. */
function unionDiagnostics(
  issue: Issue & { code: 'invalid_union' },
  path: ValuePath,
  context: ShapeContext,
): Diagnostic[] {
  const value = valueAt(context.document.value, path);
  const meant = issue.errors.find((errors) =>
    errors.every((error) => error.code !== 'invalid_type' || error.path.length > 0),
  );
  if (meant !== undefined && value !== undefined && value !== null) {
    return issueDiagnostics(
      meant.map((error) => ({ ...error, path: [...path, ...error.path] })),
      context,
    );
  }
  const wanted = issue.errors.flatMap((errors) =>
    errors.flatMap((error) => (error.code === 'invalid_type' ? [typeWord(error.expected)] : [])),
  );
  const message = `expected ${[...new Set(wanted)].join(' or ')}, got ${kindOf(value)}`;
  return [context.file.diagnose(context.document.locate(path, 'value'), named(path, message))];
}

function unknownKey(key: string, path: ValuePath, context: ShapeContext): Diagnostic {
  const span = context.document.locate([...path, key], 'key');
  const where = path.length === 0 ? '' : ` in ${spoken(path)}`;
  return context.file.diagnose(span, `unknown key \`${key}\`${where}`, keyHint(key, path, context));
}

function keyHint(key: string, path: ValuePath, context: ShapeContext): string | null {
  if (key === '<<') return 'merge keys are not supported: use `defaults`';
  const known = keysOf(childSchema(context.schema, path));
  const near = nearest(key, known);
  if (near !== null) return `did you mean \`${near}\`?`;
  const owners = ownersOf(context.schema, key);
  const [owner] = owners;
  if (owner !== undefined && owners.length === 1) {
    return owner === '' ? 'it belongs at the top level' : `it belongs under \`${owner}\``;
  }
  return known.length === 0 ? null : `known are ${known.map((name) => `\`${name}\``).join(', ')}`;
}

function missingKey(path: ValuePath, context: ShapeContext): Diagnostic {
  const parent = path.slice(0, -1);
  const where = parent.length === 0 ? '' : ` in ${spoken(parent)}`;
  const span = context.document.locate(parent, typeof parent.at(-1) === 'string' ? 'key' : 'value');
  return context.file.diagnose(span, `missing key \`${String(path.at(-1))}\`${where}`);
}

interface Sentence {
  readonly message: string;
  readonly hint: string | null;
}

function sentenceOf(issue: Issue, value: unknown): Sentence {
  switch (issue.code) {
    case 'invalid_type':
      return typeSentence(issue.expected, value);
    case 'invalid_value':
      return choiceSentence(issue.values.map(String), value);
    case 'too_small':
      return { message: leastMessage(issue.origin, Number(issue.minimum)), hint: null };
    case 'too_big':
      return { message: `must be at most ${String(issue.maximum)}`, hint: null };
    case 'custom': {
      const hint: unknown = issue.params?.['hint'];
      return { message: issue.message, hint: typeof hint === 'string' ? hint : null };
    }
    default:
      return { message: issue.message, hint: null };
  }
}

function leastMessage(origin: string, minimum: number): string {
  return origin === 'array' ? 'must list at least one' : `must be at least ${minimum}`;
}

function typeSentence(expected: string, value: unknown): Sentence {
  const message = `expected ${typeWord(expected)}, got ${kindOf(value)}`;
  if (value === null) return { message, hint: 'write a value or remove the key' };
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')) {
    return { message, hint: 'put it in quotes, and with its unit if it is an amount' };
  }
  if (expected === 'array' && typeof value === 'string') return { message, hint: `write \`[${value}]\`` };
  if (expected === 'boolean') return { message, hint: 'write `true` or `false`' };
  return { message, hint: null };
}

function choiceSentence(choices: readonly string[], value: unknown): Sentence {
  const listed = choices.map((choice) => `\`${choice}\``).join(', ');
  const message = choices.length === 1 ? `expected ${listed}` : `expected one of ${listed}`;
  if (typeof value !== 'string') return { message: `${message}, got ${kindOf(value)}`, hint: null };
  const near = nearest(value, choices);
  return { message, hint: near === null ? null : `did you mean \`${near}\`?` };
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function typeWord(expected: string): string {
  return typeWords[expected] ?? expected;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a fraction';
  return typeWords[typeof value] ?? typeof value;
}

export function valueAt(value: unknown, path: ValuePath): unknown {
  let inner: unknown = value;
  for (const step of path) {
    if (inner === null || typeof inner !== 'object' || !Object.hasOwn(inner, step)) return undefined;
    inner = (inner as Record<string | number, unknown>)[step];
  }
  return inner;
}

/** `source.tables[0].window`. */
function spoken(path: ValuePath): string {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  return `\`${text.replace(/^\./, '')}\``;
}

function named(path: ValuePath, message: string): string {
  return path.length === 0 ? message : `${spoken(path)}: ${message}`;
}
