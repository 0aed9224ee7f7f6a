import { sortDiagnostics } from './diagnostics.ts';
import type { Diagnostic } from './diagnostics.ts';
import { referencesIn } from './interpolation.ts';
import { storesJsonSchema } from './json-schema.ts';
import { storesShape } from './schema/stores.ts';
import { issueDiagnostics } from './shape-issues.ts';
import { readYaml } from './yaml-documents.ts';
import type { FileContext, YamlDocument, YamlScalar } from './yaml-documents.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** syncline.yaml as read. References in `stores` and `temporal` still stand as written; see interpolation.ts. */
export interface StoresFile {
  readonly stores: Readonly<Record<string, StoreEntry>>;
  readonly temporal: TemporalSettings;
  readonly worker: WorkerSettings;
}

export interface StoreEntry {
  readonly kind: string;
  /** The whole entry, `kind` included: what the store's own `settings` shape takes after interpolation. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface TemporalSettings {
  readonly profile?: string;
  readonly taskQueue: string;
  readonly address?: string;
  readonly namespace?: string;
}

export interface WorkerSettings {
  /** `host:port`; absent: not served. */
  readonly metricsAddress?: string;
  readonly healthAddress?: string;
  readonly httpAddress?: string;
  readonly shutdownGraceTimeMs: number;
  readonly logLevel: LogLevel;
  readonly maxActivities: number;
}

/** `config` is null as soon as there is one diagnostic. */
export interface ParsedStoresFile {
  readonly config: StoresFile | null;
  readonly diagnostics: readonly Diagnostic[];
}

export function parseStoresFile(text: string, options: { readonly file: string }): ParsedStoresFile {
  const { context, documents, diagnostics: syntax } = readYaml(text, options.file);
  if (syntax.length > 0) return { config: null, diagnostics: sortDiagnostics(syntax) };
  const [document, second] = documents;
  if (document === undefined) {
    return {
      config: null,
      diagnostics: [context.diagnose([0, 1], 'the file names no store', 'write `stores:`')],
    };
  }
  const result = storesShape.safeParse(document.value);
  const shape = { file: context, document, schema: storesJsonSchema() };
  const diagnostics = [
    ...document.scalars.flatMap((scalar) => referenceFaults(scalar, context)),
    ...(second === undefined ? [] : [secondDocument(second, context)]),
    ...(result.success ? [] : issueDiagnostics(result.error.issues, shape)),
  ];
  if (!result.success || diagnostics.length > 0) {
    return { config: null, diagnostics: sortDiagnostics(diagnostics) };
  }
  return { config: configOf(result.data), diagnostics: [] };
}

function secondDocument(document: YamlDocument, context: FileContext): Diagnostic {
  return context.diagnose(document.locate([], 'value'), 'this file holds one document', 'remove the `---`');
}

function referenceFaults(scalar: YamlScalar, context: FileContext): Diagnostic[] {
  if (!scalar.text.includes('${')) return [];
  if (!mayHoldReference(scalar)) {
    const message = '`${…}` is filled in only in the settings under `stores` and `temporal`';
    return [context.diagnose(scalar.span, message, 'write the value itself')];
  }
  if (referencesIn(scalar.text) !== null) return [];
  const message = 'this `${` is not `${NAME}`, `${NAME:default}` or `${file:/path}`';
  return [context.diagnose(scalar.span, message, 'for a plain `${` write `$${`')];
}

function mayHoldReference({ path, role }: YamlScalar): boolean {
  const [section, , setting] = path;
  if (role === 'key') return false;
  if (section === 'temporal') return path.length === 2;
  return section === 'stores' && path.length > 2 && setting !== 'kind';
}

function configOf(data: ReturnType<typeof storesShape.parse>): StoresFile {
  const { temporal, worker } = data;
  const stores = Object.entries(data.stores).map(([name, settings]): [string, StoreEntry] => [
    name,
    { kind: settings.kind, settings },
  ]);
  return {
    stores: Object.fromEntries(stores),
    temporal: {
      taskQueue: temporal.taskQueue,
      ...(temporal.profile === undefined ? {} : { profile: temporal.profile }),
      ...(temporal.address === undefined ? {} : { address: temporal.address }),
      ...(temporal.namespace === undefined ? {} : { namespace: temporal.namespace }),
    },
    worker: {
      ...(worker.metrics === undefined ? {} : { metricsAddress: worker.metrics.address }),
      ...(worker.health === undefined ? {} : { healthAddress: worker.health.address }),
      ...(worker.http === undefined ? {} : { httpAddress: worker.http.address }),
      shutdownGraceTimeMs: worker.shutdownGraceTime,
      logLevel: worker.log.level,
      maxActivities: worker.maxActivities,
    },
  };
}
