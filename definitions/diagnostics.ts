/** What is wrong with a file, where, and what to write instead. Every diagnostic is an error: nothing of the file is used. */
export interface Diagnostic {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Length of the marked text on that line, at least 1. */
  readonly length: number;
  readonly message: string;
  /** What to do, when it is known: a sentence without full stop. */
  readonly hint: string | null;
}

/** `file:line:column: message; hint` on one line, as editors and CI read it. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, message, hint } = diagnostic;
  return printable(`${file}:${line}:${column}: ${message}${hint === null ? '' : `; ${hint}`}`);
}

const shownColumns = 100;

/** The same with the line of the file and a caret below. Credentials that stand in the line are blanked. */
export function renderDiagnostic(diagnostic: Diagnostic, sourceText: string): string {
  const head = formatDiagnostic(diagnostic);
  const source = sourceText.split(/\r\n|\n|\r/)[diagnostic.line - 1];
  if (source === undefined || source.trim() === '') return head;
  const line = printable(blankSecrets(source));
  const start = Math.max(0, diagnostic.column - 1 - Math.floor(shownColumns / 2));
  const shown = line.slice(start, start + shownColumns);
  const caretAt = Math.min(diagnostic.column - 1 - start, shown.length);
  const caretLength = Math.max(1, Math.min(diagnostic.length, shown.length - caretAt));
  const number = String(diagnostic.line);
  const gutter = ' '.repeat(number.length);
  return [
    head,
    `  ${number} | ${shown}`,
    `  ${gutter} | ${' '.repeat(caretAt)}${'^'.repeat(caretLength)}`,
  ].join('\n');
}

/** In the order of the text, without repetitions. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>();
  return diagnostics
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .filter((diagnostic) => {
      const text = formatDiagnostic(diagnostic);
      if (seen.has(text)) return false;
      seen.add(text);
      return true;
    });
}

/** Keeps columns: every character taken out leaves one in its place. */
function printable(text: string): string {
  return text.replaceAll('\t', ' ').replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}

function blankSecrets(line: string): string {
  const blank = (_all: string, before: string, secret: string): string => before + '*'.repeat(secret.length);
  return line
    .replaceAll(/(:\/\/[^\s:@/]*:)([^\s$]+)(?=@)/g, blank)
    .replaceAll(/((?:password|passwd|pwd|secret|token|key)["']?\s*[:=]\s*)(?!["']?\$\{)([^\s,}&]+)/gi, blank);
}
