/** Names of what hangs below a table when that table is given another name. Pure: both sides must agree on it. */

interface Name {
  readonly schema: string;
  readonly name: string;
}

/** PostgreSQL cuts longer names, in bytes of UTF-8, silently. */
const longestNameBytes = 63;

export interface Renaming {
  readonly from: Name;
  readonly to: Name;
}

/**
 * The new name of a partition, child, index or sequence of a renamed table. Only the schema changed: the same name.
 * Otherwise the old table name at its beginning is replaced, or the new one is put before it.
 */
export function renamed(old: Name, renaming: Renaming): Name {
  return {
    schema: old.schema === renaming.from.schema ? renaming.to.schema : old.schema,
    name: renamedPart(old.name, renaming),
  };
}

/** The same for a name without schema (constraints). */
export function renamedPart(old: string, { from, to }: Renaming): string {
  if (from.name === to.name) return old;
  const name = old.startsWith(from.name) ? to.name + old.slice(from.name.length) : `${to.name}_${old}`;
  return shortened(name);
}

/** Names that only differ past the limit stay different: the end gives way to a fingerprint of the whole. */
function shortened(name: string): string {
  if (utf8Bytes(name) <= longestNameBytes) return name;
  const fingerprint = `_${fnv1a(name).toString(16).padStart(8, '0')}`;
  let kept = '';
  for (const char of name) {
    if (utf8Bytes(kept + char) + fingerprint.length > longestNameBytes) break;
    kept += char;
  }
  return kept + fingerprint;
}

/** Without TextEncoder, which workflow code does not have. */
function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}
