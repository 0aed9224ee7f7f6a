import { z } from 'zod';
import { type JobKind, jobKinds } from './contracts/job.ts';
import { jobShapes } from './schema/kinds.ts';
import { storesShape } from './schema/stores.ts';

/** The JSON Schema (draft 2020-12) of what people write, for editors, for the reference and for "did you mean". */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

const kindSchemas = new Map<JobKind, JsonSchema>();
let jobSchema: JsonSchema | undefined;
let storesSchema: JsonSchema | undefined;

/** Of one document of a job file. */
export function jobJsonSchema(): JsonSchema {
  jobSchema ??= {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'syncline job',
    description: 'A job definition of syncline.',
    anyOf: jobKinds.map((kind) => withoutDialect(kindJsonSchema(kind))),
  };
  return jobSchema;
}

/** Of one document of that kind. */
export function kindJsonSchema(kind: JobKind): JsonSchema {
  const known = kindSchemas.get(kind);
  if (known !== undefined) return known;
  const schema = schemaOf(jobShapes[kind]);
  kindSchemas.set(kind, schema);
  return schema;
}

function withoutDialect(schema: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema'));
}

/** Of syncline.yaml. */
export function storesJsonSchema(): JsonSchema {
  storesSchema ??= {
    ...schemaOf(storesShape),
    title: 'syncline.yaml',
    description: 'Stores, Temporal and worker.',
  };
  return storesSchema;
}

/** Of any shape, as people write it: with defaults, before references are filled in. */
export function schemaOf(shape: z.ZodType): JsonSchema {
  return z.toJSONSchema(shape, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // `{}` as default of an object says no more than that the key may be missing.
      if (jsonSchema.type === 'object') delete jsonSchema.default;
      const { appliedDefault } = jsonSchema as { appliedDefault?: unknown };
      if (typeof appliedDefault !== 'string') return;
      jsonSchema.default = appliedDefault;
      delete (jsonSchema as { appliedDefault?: unknown }).appliedDefault;
    },
  });
}

/** Keys that are allowed by a schema, over all its alternatives. */
export function keysOf(schema: JsonSchema | null): string[] {
  if (schema === null) return [];
  const alternatives = alternativesOf(schema).flatMap((alternative) => keysOf(alternative));
  const own = Object.entries(schema.properties ?? {}).filter(([, child]) => !isRefused(child));
  return [...own.map(([key]) => key), ...alternatives];
}

/** Of a key that is known only to say why it is not for this kind: no value matches it. */
export function isRefused(schema: unknown): boolean {
  return isSchema(schema) && schema.not !== undefined;
}

export function childSchema(schema: JsonSchema, path: readonly (string | number)[]): JsonSchema | null {
  const [step, ...rest] = path;
  if (step === undefined) return schema;
  for (const candidate of [schema, ...alternativesOf(schema)]) {
    const child = typeof step === 'number' ? candidate.items : propertyOf(candidate, step);
    if (isSchema(child)) return childSchema(child, rest);
  }
  return null;
}

function propertyOf(schema: JsonSchema, key: string): unknown {
  const properties = schema.properties ?? {};
  return Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties;
}

/** Paths of the mappings (dotted; '' = top) that know this key. Lists are not entered. */
export function ownersOf(schema: JsonSchema, key: string, path = ''): string[] {
  const properties = Object.entries(schema.properties ?? {});
  const here = properties.some(([name, child]) => name === key && !isRefused(child)) ? [path] : [];
  const deeper = properties.flatMap(([name, child]) =>
    isSchema(child) ? ownersOf(child, key, path === '' ? name : `${path}.${name}`) : [],
  );
  return [...here, ...deeper];
}

export function alternativesOf(schema: JsonSchema): JsonSchema[] {
  return (schema.anyOf ?? []).filter(isSchema);
}

export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
