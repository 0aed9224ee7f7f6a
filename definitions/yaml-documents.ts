import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from 'yaml';
import type { Document, Node } from 'yaml';
import type { Diagnostic } from './diagnostics.ts';

/** YAML text to plain values that still know where they stood. Core schema: dates stay text. */

const maxFileCharacters = 1_000_000;
/** Aliases may multiply a file by at most this much. */
const maxAliasCount = 100;

export type ValuePath = readonly (string | number)[];
/** Positions in the text, `[start, end)`. */
export type Span = readonly [start: number, end: number];

export interface YamlScalar {
  readonly path: ValuePath;
  readonly role: 'key' | 'value';
  readonly text: string;
  readonly span: Span;
}

export interface YamlDocument {
  readonly value: unknown;
  /** Of the value; `key` of its key, where it has one. Falls back to the nearest parent. */
  locate(path: ValuePath, at: 'value' | 'key'): Span;
  /** Every text in it, keys included, aliases not followed. */
  readonly scalars: readonly YamlScalar[];
}

export interface FileContext {
  readonly file: string;
  diagnose(span: Span, message: string, hint?: string | null): Diagnostic;
}

export interface YamlFile {
  readonly context: FileContext;
  /** Documents that hold something. Empty when there are diagnostics of syntax. */
  readonly documents: readonly YamlDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

export function readYaml(text: string, file: string): YamlFile {
  const lines = new LineCounter();
  const context = fileContext(file, text, lines);
  if (text.length > maxFileCharacters) {
    lines.addNewLine(0);
    const message = `the file has more than ${maxFileCharacters.toLocaleString('en-US')} characters`;
    return { context, documents: [], diagnostics: [context.diagnose([0, 1], message, 'split it')] };
  }
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    resolveKnownTags: false,
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: 'silent',
  });
  if (lines.lineStarts.length === 0) lines.addNewLine(0);
  const all = Array.isArray(parsed) ? (parsed as Document.Parsed[]) : [];
  const diagnostics = all.flatMap((document) => documentFaults(document, context));
  if (diagnostics.length > 0) return { context, documents: [], diagnostics };
  const documents = all
    .filter((document) => document.contents !== null && !isEmptyScalar(document.contents))
    .map(readDocument);
  return { context, documents, diagnostics: [] };
}

function isEmptyScalar(node: Node): boolean {
  return isScalar(node) && node.value === null && (node.source ?? '') === '';
}

function fileContext(file: string, text: string, lines: LineCounter): FileContext {
  return {
    file,
    diagnose(span, message, hint = null) {
      const { line, col } = lines.linePos(span[0]);
      const lineEnd = text.slice(span[0], span[1]).search(/[\r\n]/);
      const length = Math.max(1, lineEnd < 0 ? span[1] - span[0] : lineEnd);
      return { file, line: Math.max(1, line), column: Math.max(1, col), length, message, hint };
    },
  };
}

function documentFaults(document: Document.Parsed, context: FileContext): Diagnostic[] {
  const faults = [...document.errors, ...document.warnings].map((error) => {
    const { message, hint } = syntaxMessage(error.code, error.message);
    return context.diagnose(error.pos, message, hint);
  });
  return faults.length > 0 ? faults : aliasFaults(document, context);
}

function syntaxMessage(code: string, message: string): { message: string; hint: string | null } {
  const [first = ''] = message.split('\n');
  switch (code) {
    case 'DUPLICATE_KEY':
      return { message: 'this key is there twice', hint: 'keep one' };
    case 'TAB_AS_INDENT':
      return { message: 'a tab cannot indent', hint: 'use spaces' };
    case 'TAG_RESOLVE_FAILED':
      return { message: 'YAML tags (`!…`) have no meaning here', hint: 'remove the tag' };
    case 'BAD_SCALAR_START':
      return { message: `YAML: ${lowerFirst(first)}`, hint: 'put the text in quotes' };
    case 'BAD_ALIAS':
      return {
        message: `YAML: ${lowerFirst(first)}`,
        hint: 'a text that begins with `*` or `&` needs quotes',
      };
    default:
      return { message: `YAML: ${lowerFirst(first)}`, hint: null };
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function aliasFaults(document: Document.Parsed, context: FileContext): Diagnostic[] {
  const faults: Diagnostic[] = [];
  visit(document, {
    Alias(_key, alias, path) {
      const span = spanOf(alias);
      const target = alias.resolve(document);
      if (target === undefined) {
        const hint = 'a text that begins with `*` needs quotes';
        faults.push(context.diagnose(span, `there is no anchor \`${alias.source}\` before this alias`, hint));
      } else if (path.includes(target)) {
        faults.push(context.diagnose(span, `alias \`*${alias.source}\` contains itself`));
      }
    },
  });
  if (faults.length > 0) return faults;
  try {
    document.toJS({ maxAliasCount });
    return [];
  } catch {
    return [context.diagnose([0, 1], 'aliases multiply this file beyond what is accepted', 'write it out')];
  }
}

function readDocument(document: Document.Parsed): YamlDocument {
  const root = document.contents;
  return {
    value: document.toJS({ maxAliasCount }) as unknown,
    locate: (path, at) => locate(document, path, at),
    scalars: root === null ? [] : scalarsOf(root, []),
  };
}

function locate(document: Document.Parsed, path: ValuePath, at: 'value' | 'key'): Span {
  let node: unknown = document.contents;
  let span = spanOf(document.contents);
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const found = stepInto(node, step);
    if (found === null) return span;
    const last = depth === path.length - 1;
    span = last && at === 'key' && found.key !== null ? spanOf(found.key) : spanOf(found.value ?? found.key);
    node = found.value;
  }
  return span;
}

function stepInto(node: unknown, step: string | number): { key: unknown; value: unknown } | null {
  if (isSeq(node)) {
    const value = node.items[Number(step)];
    return value === undefined ? null : { key: null, value };
  }
  if (!isMap(node)) return null;
  const pair = node.items.find((item) => keyText(item.key) === String(step));
  return pair === undefined ? null : { key: pair.key, value: pair.value };
}

function keyText(key: unknown): string | null {
  if (!isScalar(key)) return null;
  const value: unknown = key.value;
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

function spanOf(node: unknown): Span {
  const range = isNode(node) ? node.range : undefined;
  return range === undefined || range === null ? [0, 1] : [range[0], Math.max(range[1], range[0] + 1)];
}

function scalarsOf(node: unknown, path: ValuePath, role: 'key' | 'value' = 'value'): YamlScalar[] {
  if (isScalar(node)) {
    return typeof node.value === 'string' ? [{ path, role, text: node.value, span: spanOf(node) }] : [];
  }
  if (isSeq(node)) return node.items.flatMap((item, index) => scalarsOf(item, [...path, index]));
  if (!isMap(node)) return [];
  return node.items.flatMap((item) => {
    if (!isPair(item)) return [];
    const inner = [...path, keyText(item.key) ?? ''];
    return [...scalarsOf(item.key, inner, 'key'), ...scalarsOf(item.value, inner)];
  });
}
