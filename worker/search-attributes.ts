import type { Connection } from '@temporalio/client';
import { encodeSearchAttributeIndexedValueType } from '@temporalio/common/lib/search-attributes.js';
import { searchAttributeTypes } from '../definitions/contracts/names.ts';
import { SynclineError } from '../definitions/errors.ts';

const commandLineTypes = { KEYWORD: 'Keyword', BOOL: 'Bool' } as const;

export interface Namespace {
  readonly connection: Connection;
  readonly namespace: string;
}

/** Names of our search attributes that the namespace does not have. Reads only. */
export async function missingSearchAttributes({
  connection,
  namespace,
}: Namespace): Promise<AttributeName[]> {
  const known = await connection.operatorService.listSearchAttributes({ namespace });
  return attributeNames.filter((name) => !Object.hasOwn(known.customAttributes, name));
}

/**
 * Registers what is missing; repeating changes nothing. Without them no job can start, so a refusal (Temporal Cloud,
 * missing rights) is an error that says how to register by hand. Errors: `temporal.refused`.
 */
export async function ensureSearchAttributes(place: Namespace): Promise<readonly string[]> {
  const missing = await orAll(place);
  if (missing.length === 0) return [];
  try {
    await place.connection.operatorService.addSearchAttributes({
      namespace: place.namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, protoType(name)])),
    });
    return missing;
  } catch (error) {
    if (isAlreadyThere(error)) return [];
    throw new SynclineError(
      'temporal.refused',
      `Namespace "${place.namespace}" lacks search attributes and does not let this client add them. Register them:\n` +
        missing.map((name) => `  ${registerCommand(name, place.namespace)}`).join('\n'),
      { cause: error },
    );
  }
}

type AttributeName = keyof typeof searchAttributeTypes;
const attributeNames = Object.keys(searchAttributeTypes) as AttributeName[];

function protoType(name: AttributeName) {
  return encodeSearchAttributeIndexedValueType(searchAttributeTypes[name]) ?? 0;
}

export function registerCommand(name: AttributeName, namespace: string): string {
  const type = commandLineTypes[searchAttributeTypes[name]];
  return `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${type}`;
}

/** Where listing is not allowed, adding is tried: the answer says what to do. */
async function orAll(place: Namespace): Promise<AttributeName[]> {
  try {
    return await missingSearchAttributes(place);
  } catch {
    return attributeNames;
  }
}

const grpcAlreadyExists = 6;

function isAlreadyThere(error: unknown): boolean {
  const { code, details, message } = error as { code?: number; details?: string; message?: string };
  return code === grpcAlreadyExists || /already exist/i.test(details ?? message ?? '');
}
