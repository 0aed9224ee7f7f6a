import { z } from 'zod';
import { SynclineError } from '../../../definitions/errors.ts';
import type { BackupSummary } from '../../spi/artifact.ts';
import { expectSafeKey } from '../../spi/files.ts';
import { keyIdOf, sealOf } from '../codec/keys.ts';
import { backupFolder, isBackupId, manifestKey } from '../objects/layout.ts';
import { parseJson, type Place } from '../objects/place.ts';
import { compressionShape, countShape, keyIdShape, storedRefShape } from '../objects/sealed.ts';
import { consistencyShape, markShape, windowShape } from './shapes.ts';

/**
 * docs/artifact-format.md describes it field by field. A reader takes its own format and older ones, never newer ones; what an
 * older reader can take is written in its format.
 */
export const manifestFormat = 2;
const formats = [1, manifestFormat] as const;

const shortText = z.string().max(1_000);

const pageShape = storedRefShape.extend({ entries: countShape });

export const manifestShape = z.strictObject({
  format: z.literal(formats),
  job: shortText,
  backup: z.string().refine(isBackupId),
  /** Identity of the load and first run id of the workflow that made it. */
  load: shortText,
  run: shortText,
  scope: z.enum(['full', 'window']),
  createdAt: z.iso.datetime(),
  scheduledTime: z.iso.datetime({ offset: true }),
  consistency: consistencyShape,
  /** The one instant of `consistency: snapshot` and `cut`. */
  snapshot: markShape.nullable(),
  source: z.strictObject({ store: shortText, dialects: z.array(shortText) }),
  compression: compressionShape,
  keyId: keyIdShape.nullable(),
  basedOn: z.string().refine(isBackupId).nullable(),
  tables: z.array(z.strictObject({ name: shortText, window: windowShape.nullable() })),
  chunks: countShape,
  units: countShape,
  rows: countShape,
  bytes: countShape,
  storedBytes: countShape,
  referredUnits: countShape,
  referredBytes: countShape,
  /** Units that were set aside; the first of them by name. */
  skipped: z.strictObject({
    units: countShape,
    named: z.array(z.strictObject({ chunk: shortText, slice: countShape, code: shortText })).max(1_000),
  }),
  pages: z.array(pageShape).max(100_000),
  schema: storedRefShape,
  /** Units with changes beside them; only in format 2. */
  changedUnits: countShape.exactOptional(),
  seal: z.string().regex(/^[0-9a-f]{64}$/),
});

export type Manifest = z.output<typeof manifestShape>;
export type PageRef = Manifest['pages'][number];

/** What can be read by whoever knows format 1 alone is written in it. */
export function formatOf(consistency: Manifest['consistency']): Manifest['format'] {
  return consistency === 'cut' ? 2 : 1;
}

/** With the seal over everything else. */
export function sealManifest(content: Omit<Manifest, 'seal'>, key: Buffer | null): Manifest {
  return { ...content, seal: sealOf(canonical(content), key) };
}

/** Throws `artifact.missing`, `artifact.corrupt`, `artifact.newerFormat`, `artifact.wrongKey`, `files.unsafeKey`. */
export async function readManifest(place: Place, backup: string): Promise<Manifest> {
  const key = manifestKey(backup);
  const content = await place.readSmall(key);
  if (content !== null) return parseManifest(content, { place, backup });
  throw new SynclineError(
    'artifact.missing',
    `There is no backup ${backup} at ${place.path} of store ${place.store}.`,
  );
}

export interface ManifestPlace {
  readonly place: Place;
  readonly backup: string;
}

export function parseManifest(content: Buffer, { place, backup }: ManifestPlace): Manifest {
  const name = place.full(manifestKey(backup));
  const text = content.toString();
  const { format } = parseJson(text, { name, shape: z.looseObject({ format: countShape }) });
  if (format > manifestFormat) {
    throw new SynclineError(
      'artifact.newerFormat',
      `${name} has format ${String(format)}; this version reads up to ${String(manifestFormat)}.`,
    );
  }
  expectSafeReferences(text, name);
  const manifest = parseJson(text, { name, shape: manifestShape });
  if (manifest.backup !== backup) {
    throw new SynclineError('artifact.corrupt', `${name}: it is the manifest of another backup.`);
  }
  const { seal, ...rest } = manifest;
  if (sealOf(canonical(rest), sealingKey(place, manifest)) !== seal)
    throw new SynclineError('artifact.corrupt', `${name}: its seal does not fit what it says.`);
  for (const { key } of [...manifest.pages, manifest.schema]) {
    if (
      !/^(chunks|schema)-[0-9a-z-]+$/.test(key.slice(backupFolder(backup).length)) ||
      !key.startsWith(backupFolder(backup))
    )
      throw new SynclineError('artifact.corrupt', `${name}: it names ${key}, which is not below it.`);
  }
  return manifest;
}

/** Before anything else is looked at: an unsafe name has its own error, whatever else is wrong. */
function expectSafeReferences(text: string, name: string): void {
  const loose = z.looseObject({ key: z.string() });
  const { pages, schema } = parseJson(text, {
    name,
    shape: z.looseObject({ pages: z.array(loose), schema: loose }),
  });
  for (const { key } of [...pages, schema]) expectSafeKey(key);
}

function sealingKey(place: Place, { keyId, backup }: Pick<Manifest, 'keyId' | 'backup'>): Buffer | null {
  if (keyId === null) return null;
  const key = place.keys().find((candidate) => keyIdOf(candidate) === keyId);
  if (key !== undefined) return key;
  throw new SynclineError(
    'artifact.wrongKey',
    `Backup ${backup} was made with the key ${keyId}, which store ${place.store} does not have.`,
    { details: { store: place.store } },
  );
}

/** The same text for the same content: names in the order of their code units, no white space. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(',')}}`;
}

export function summaryOf(manifest: Manifest): BackupSummary {
  const { tables, skipped } = manifest;
  return {
    backup: manifest.backup,
    job: manifest.job,
    scope: manifest.scope,
    createdAt: manifest.createdAt,
    scheduledTime: manifest.scheduledTime,
    tables: tables.map((table) => table.name),
    chunks: manifest.chunks,
    rows: manifest.rows,
    bytes: manifest.bytes,
    storedBytes: manifest.storedBytes,
    referredBytes: manifest.referredBytes,
    basedOn: manifest.basedOn,
    compression: manifest.compression,
    keyId: manifest.keyId,
    consistency: manifest.consistency,
    windows: tables.flatMap(({ name, window }) => (window === null ? [] : [{ table: name, window }])),
    ...(skipped.units === 0 ? {} : { skippedUnits: skipped.units }),
  };
}
