import { SynclineError } from '../definitions/errors.ts';
import { interpolate, type Surroundings } from '../definitions/interpolation.ts';
import type { StoreEntry, StoresFile } from '../definitions/stores-file.ts';
import { openArtifact } from '../stores/artifact/open-artifact.ts';
import { storeModules } from '../stores/registry.ts';
import type { Store, StoreModule, StoreProvider } from '../stores/spi/store.ts';
import { processSurroundings } from './config.ts';
import type { Redaction } from './redaction.ts';

export interface StoresOptions {
  readonly redaction: Redaction;
  readonly surroundings?: Surroundings;
}

/**
 * The stores of syncline.yaml, opened when first asked for. Every secret is registered for redaction here and now.
 * Errors: `definition.unknownStore` for a kind that does not exist; a missing secret shows only when its store is used.
 */
export async function createStoreProvider(
  { stores }: Pick<StoresFile, 'stores'>,
  { redaction, surroundings = processSurroundings }: StoresOptions,
): Promise<StoreProvider> {
  const entries = new Map<string, ReadyStore>();
  for (const [name, entry] of Object.entries(stores)) {
    const filled = interpolate(entry.settings, surroundings);
    for (const secret of secretsOf(entry.settings, filled.settings)) redaction.add(secret);
    entries.set(name, { module: await moduleOf(name, entry), ...filled });
  }
  return new LazyStores(entries);
}

interface ReadyStore {
  readonly module: StoreModule;
  readonly settings: Record<string, unknown>;
  readonly missing: readonly string[];
}

/** Few jobs run at a time; the one asked for longest ago is opened again. */
const artifactsHeld = 16;

class LazyStores implements StoreProvider {
  private readonly entries: ReadonlyMap<string, ReadyStore>;
  private readonly open = new Map<string, Store>();
  private readonly artifacts = new Map<string, Store>();

  constructor(entries: ReadonlyMap<string, ReadyStore>) {
    this.entries = entries;
  }

  get(name: string): Store {
    const known = this.open.get(name);
    if (known !== undefined) return known;
    const entry = this.entries.get(name);
    if (entry === undefined) {
      const names = this.names();
      throw new SynclineError(
        'definition.unknownStore',
        `Store "${name}" is not in syncline.yaml; it names ${names.length === 0 ? 'none' : names.join(', ')}.`,
        { details: { store: name } },
      );
    }
    const store = entry.module.open(name, checkedSettings(name, entry));
    this.open.set(name, store);
    return store;
  }

  artifact(name: string, address: { readonly path: string; readonly backup: string | null }): Store {
    const key = JSON.stringify([name, address.path, address.backup]);
    // What was read of a backup is remembered there, and an activity asks for it unit by unit.
    const artifact = this.artifacts.get(key) ?? openArtifact(this.get(name), address);
    this.artifacts.delete(key);
    this.artifacts.set(key, artifact);
    const oldest = this.artifacts.keys().next().value;
    if (this.artifacts.size > artifactsHeld && oldest !== undefined) this.artifacts.delete(oldest);
    return artifact;
  }

  names(): readonly string[] {
    return [...this.entries.keys()];
  }

  async closeAll(): Promise<void> {
    const stores = [...this.open.values()];
    this.open.clear();
    this.artifacts.clear();
    await Promise.all(stores.map((store) => store.close()));
  }
}

function checkedSettings(name: string, { module, settings, missing }: ReadyStore): unknown {
  if (missing.length > 0) {
    throw new SynclineError(
      'definition.missingSecret',
      `Store "${name}" needs ${missing.join(', ')}, which is not set.`,
      {
        details: { store: name },
      },
    );
  }
  const result = module.settings.safeParse(settings);
  if (result.success) return result.data;
  // zod's messages name paths and shapes, never the value that was found.
  const faults = result.error.issues.map(
    (issue) => `${issue.path.join('.') || 'the entry'}: ${issue.message}`,
  );
  throw new SynclineError('definition.invalid', `Store "${name}" in syncline.yaml: ${faults.join('; ')}.`, {
    details: { store: name },
  });
}

async function moduleOf(name: string, entry: StoreEntry): Promise<StoreModule> {
  const load = Object.hasOwn(storeModules, entry.kind) ? storeModules[entry.kind] : undefined;
  if (load !== undefined) return await load();
  throw new SynclineError(
    'definition.invalid',
    `Store "${name}" in syncline.yaml has kind "${entry.kind}"; kinds are ${Object.keys(storeModules).join(', ')}.`,
    { details: { store: name } },
  );
}

/** Texts that a reference changed, and texts that are URLs with a password in them. */
function secretsOf(written: unknown, filled: unknown): string[] {
  if (typeof filled === 'string') return filled !== written || filled.includes('://') ? [filled] : [];
  if (typeof filled !== 'object' || filled === null) return [];
  return Object.entries(filled).flatMap(([key, inner]) =>
    secretsOf((written as Record<string, unknown> | undefined)?.[key], inner),
  );
}
