/** Numbers of the server's own types, the same in every version, whose values compare outside the server as inside. */
export const typeIds = {
  bool: 16,
  bytea: 17,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  uuid: 2950,
} as const;

export const baseTypeIds: ReadonlyMap<string, number> = new Map(Object.entries(typeIds));
