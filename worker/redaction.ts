/**
 * Keeps secrets out of what leaves the process: log lines, failures, printed errors. A secret is registered when
 * its setting is resolved, before anything can be said about it.
 */
export class Redaction {
  private readonly secrets = new Set<string>();
  private pattern: RegExp | null = null;

  /** Values shorter than this occur everywhere by chance; inside a URL they are blanked all the same. */
  static readonly shortestSecret = 4;

  /** The value itself, and what a URL in it hides: user info and query parameters named like secrets. */
  add(value: string): void {
    for (const secret of [value, ...partsOfUrl(value)]) {
      if (secret.length < Redaction.shortestSecret) continue;
      // The same text as JSON writes it and as a URL writes it.
      for (const form of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]) {
        this.secrets.add(form);
      }
    }
    const longestFirst = [...this.secrets].sort((a, b) => b.length - a.length);
    this.pattern = longestFirst.length === 0 ? null : new RegExp(longestFirst.map(literal).join('|'), 'g');
  }

  apply(text: string): string {
    const known = this.pattern === null ? text : text.replaceAll(this.pattern, '[redacted]');
    return known.replaceAll(/(:\/\/[^\s:@/"']*:)[^\s@/"']+(?=@)/g, '$1[redacted]');
  }
}

function partsOfUrl(value: string): string[] {
  if (!value.includes('://')) return [];
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return [];
  }
  const parameters = [...url.searchParams]
    .filter(([name]) => /pass|secret|token|key/i.test(name))
    .map(([, secret]) => secret);
  return [url.password, decoded(url.password), ...parameters];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
