/** A key of `TouchedKeys` taken apart: of each column the int32 length and the bytes, together. */
export function fieldsOfKey(key: string): Buffer[] {
  const bytes = Buffer.from(key, 'latin1');
  const fields: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readInt32BE(at);
    fields.push(bytes.subarray(at, end));
    at = end;
  }
  return fields;
}
