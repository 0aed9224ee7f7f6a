import type { LogColumn, LogRelation } from '../../spi/log.ts';
import { baseTypeIds } from './base-types.ts';

/**
 * The leaves that the log has named, by the server's number. A relation that is described again in the same shape is the same
 * object, so that whoever follows can know it by identity.
 */
export class Relations {
  private readonly known = new Map<number, LogRelation>();
  private readonly baseOf = new Map<number, number>();

  get(id: number): LogRelation {
    const relation = this.known.get(id);
    if (relation === undefined) throw new Error('The log speaks of a relation that it has not described');
    return relation;
  }

  /** A Relation message from behind its type byte and the xid of a stream. */
  readRelation(buffer: Buffer, start: number): void {
    const reader = new TextReader(buffer, start);
    const id = reader.uint32();
    const schema = reader.text();
    const name = reader.text();
    const setting = reader.byte();
    const columns: LogColumn[] = [];
    for (let left = reader.uint16(); left > 0; left -= 1) {
      const isKey = (reader.byte() & 1) === 1;
      const column = reader.text();
      const typeId = reader.uint32();
      columns.push({
        name: column,
        typeId: this.baseOf.get(typeId) ?? typeId,
        typeModifier: reader.int32(),
        isKey,
      });
    }
    // An empty schema in the protocol is pg_catalog.
    const relation: LogRelation = {
      name: { schema: schema === '' ? 'pg_catalog' : schema, name },
      columns,
      identity: identityOf(setting, columns),
    };
    const before = this.known.get(id);
    if (before === undefined || !isSame(before, relation)) this.known.set(id, relation);
  }

  /**
   * A Type message names the type under a domain. Where that is one of the server's own, its number stands in for the
   * domain's: values look the same, and where a key lies can be told from it.
   */
  readType(buffer: Buffer, start: number): void {
    const reader = new TextReader(buffer, start);
    const id = reader.uint32();
    const base = reader.text() === '' ? baseTypeIds.get(reader.text()) : undefined;
    if (base === undefined) this.baseOf.delete(id);
    else this.baseOf.set(id, base);
  }
}

const full = 'f'.charCodeAt(0);
const nothing = 'n'.charCodeAt(0);

function identityOf(setting: number, columns: readonly LogColumn[]): LogRelation['identity'] {
  if (setting === full) return 'row';
  if (setting === nothing || !columns.some((column) => column.isKey)) return 'none';
  return 'key';
}

function isSame(some: LogRelation, other: LogRelation): boolean {
  return JSON.stringify(some) === JSON.stringify(other);
}

class TextReader {
  private readonly buffer: Buffer;
  private at: number;

  constructor(buffer: Buffer, at: number) {
    this.buffer = buffer;
    this.at = at;
  }

  byte(): number {
    this.at += 1;
    return this.buffer.readUInt8(this.at - 1);
  }

  uint16(): number {
    this.at += 2;
    return this.buffer.readUInt16BE(this.at - 2);
  }

  uint32(): number {
    this.at += 4;
    return this.buffer.readUInt32BE(this.at - 4);
  }

  int32(): number {
    this.at += 4;
    return this.buffer.readInt32BE(this.at - 4);
  }

  /** Up to the zero byte. */
  text(): string {
    const end = this.buffer.indexOf(0, this.at);
    const text = this.buffer.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }
}
