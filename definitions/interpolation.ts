/**
 * References to secrets in settings: `${NAME}`, `${NAME:default}`, `${file:/path}`; `$${` stands for a plain `${`.
 * They are found when a file is read and filled in only where the connection is made, so that no secret is in
 * a job, a payload or a log.
 */

export type Reference =
  | { readonly kind: 'environment'; readonly name: string; readonly fallback: string | null }
  | { readonly kind: 'file'; readonly path: string };

type Piece = { readonly kind: 'text'; readonly text: string } | Reference;

const piece = /\$\$\{|\$\{([^}]*)\}|\$\{/g;

/** Text and references in order; null when a `${` is not of a known form. */
function piecesOf(text: string): Piece[] | null {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(piece)) {
    pieces.push({ kind: 'text', text: text.slice(end, match.index) });
    end = match.index + match[0].length;
    if (match[0] === '$${') {
      pieces.push({ kind: 'text', text: '${' });
      continue;
    }
    const reference = match[1] === undefined ? null : referenceOf(match[1]);
    if (reference === null) return null;
    pieces.push(reference);
  }
  pieces.push({ kind: 'text', text: text.slice(end) });
  return pieces;
}

function referenceOf(inner: string): Reference | null {
  if (inner.startsWith('file:')) {
    const path = inner.slice('file:'.length);
    return path === '' ? null : { kind: 'file', path };
  }
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::(.*))?$/s.exec(inner);
  if (match === null) return null;
  return { kind: 'environment', name: match[1] ?? '', fallback: match[2] ?? null };
}

/** Null when a `${` in it is malformed. */
export function referencesIn(text: string): Reference[] | null {
  return piecesOf(text)?.filter((part) => part.kind !== 'text') ?? null;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Content of a file, or null when it cannot be read. */
  readonly readFile: (path: string) => string | null;
}

export interface Interpolated {
  readonly settings: Record<string, unknown>;
  /** Variables that are unset and have no default, and `file:<path>` of unreadable files; each once, in order. */
  readonly missing: readonly string[];
}

/**
 * Fills in every reference in the texts of `settings`, however deep; keys stay. A value filled in is always
 * text. A file's last line break is dropped. With something missing, the settings hold '' in its place.
 */
export function interpolate(
  settings: Readonly<Record<string, unknown>>,
  surroundings: Surroundings,
): Interpolated {
  const missing = new Set<string>();
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string') return fillText(value, surroundings, missing);
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
  };
  return { settings: fill(settings) as Record<string, unknown>, missing: [...missing] };
}

function fillText(text: string, surroundings: Surroundings, missing: Set<string>): string {
  const pieces = piecesOf(text);
  if (pieces === null) return text;
  return pieces
    .map((part) => (part.kind === 'text' ? part.text : lookUp(part, surroundings, missing)))
    .join('');
}

function lookUp(reference: Reference, surroundings: Surroundings, missing: Set<string>): string {
  if (reference.kind === 'file') {
    const content = surroundings.readFile(reference.path);
    if (content === null) missing.add(`file:${reference.path}`);
    return content?.replace(/\r?\n$/, '') ?? '';
  }
  const value = surroundings.env[reference.name] ?? reference.fallback;
  if (value === null) missing.add(reference.name);
  return value ?? '';
}
