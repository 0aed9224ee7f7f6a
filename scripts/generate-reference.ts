import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { errorsPage, jobPage, storesPage } from './reference-pages.ts';

/** Writes docs/reference; with `--check`, exits 1 naming each page that is not as it would be written. */

const repository = new URL('../', import.meta.url);

async function pages(): Promise<Map<string, string>> {
  const found = new Map([
    ['docs/reference/job.md', jobPage()],
    ['docs/reference/stores.md', storesPage()],
    ['docs/reference/errors.md', errorsPage()],
  ]);
  const cli = fileURLToPath(new URL('cli/reference.ts', repository));
  if (existsSync(cli)) {
    const module = (await import(pathToFileURL(cli).href)) as { cliReference(): string };
    found.set('docs/reference/cli.md', module.cliReference());
  }
  return found;
}

async function main(check: boolean): Promise<number> {
  const stale: string[] = [];
  mkdirSync(new URL('docs/reference/', repository), { recursive: true });
  for (const [path, text] of await pages()) {
    const place = new URL(path, repository);
    if (existsSync(place) && readFileSync(place, 'utf8') === text) continue;
    stale.push(path);
    if (!check) writeFileSync(place, text);
  }
  for (const path of stale) process.stdout.write(`${check ? 'stale' : 'wrote'} ${path}\n`);
  if (check && stale.length > 0)
    process.stdout.write('Run `npx tsx scripts/generate-reference.ts` and commit the result.\n');
  return check && stale.length > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.includes('--check'));
