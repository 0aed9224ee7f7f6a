import { existsSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { renderDiagnostic } from '../definitions/diagnostics.ts';
import { SynclineError } from '../definitions/errors.ts';
import { interpolate, type Surroundings } from '../definitions/interpolation.ts';
import { parseStoresFile, type StoresFile, type TemporalSettings } from '../definitions/stores-file.ts';

/** syncline.yaml as the process uses it. Store settings still hold their references; `temporal` is filled in. */
export interface Config extends StoresFile {
  /** Absent when there is no file: then no store is known. */
  readonly file?: string;
}

export interface ConfigSource {
  /** Given by the user: it must exist. Absent: `./syncline.yaml`, which may be missing. */
  readonly file?: string;
  readonly surroundings?: Surroundings;
}

export const defaultConfigFile = 'syncline.yaml';

export const processSurroundings: Surroundings = {
  env: process.env,
  readFile: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return null;
    }
  },
};

/** Errors: `definition.invalid` with every fault of the file, `definition.missingSecret`. */
export function loadConfig(source: ConfigSource = {}): Config {
  const file = source.file ?? defaultConfigFile;
  if (!existsSync(file)) {
    if (source.file !== undefined) {
      throw new SynclineError(
        'definition.invalid',
        `There is no file ${file}; \`syncline init\` writes one.`,
      );
    }
    return parsed('stores: {}\n', file);
  }
  const config = parsed(readFileSync(file, 'utf8'), file);
  const temporal = filledIn(config.temporal, source.surroundings ?? processSurroundings);
  return { ...config, temporal, file: resolve(file) };
}

function parsed(text: string, file: string): StoresFile {
  const { config, diagnostics } = parseStoresFile(text, { file });
  if (config !== null) return config;
  const faults = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, text)).join('\n');
  throw new SynclineError('definition.invalid', `${basename(file)} is not valid:\n${faults}`);
}

function filledIn(temporal: TemporalSettings, surroundings: Surroundings): TemporalSettings {
  const { settings, missing } = interpolate({ ...temporal }, surroundings);
  if (missing.length > 0) {
    throw new SynclineError(
      'definition.missingSecret',
      `\`temporal\` in ${defaultConfigFile} needs ${missing.join(', ')}, which is not set.`,
    );
  }
  return settings as unknown as TemporalSettings;
}
