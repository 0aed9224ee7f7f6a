import { readFileSync } from 'node:fs';

/** package.json lies beside the sources, and one folder above `dist`. */
export function packageVersion(): string {
  const place = import.meta.filename.endsWith('.ts') ? '../package.json' : '../../package.json';
  const text = readFileSync(new URL(place, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
