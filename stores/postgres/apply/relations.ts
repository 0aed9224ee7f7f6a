import { SynclineError } from '../../../definitions/errors.ts';
import type { LinkRef } from '../../spi/log-target.ts';
import type { LogRelation } from '../../spi/log.ts';
import type { Session } from '../connection.ts';
import { quoteLiteral } from '../identifiers.ts';
import { whereLink } from './link-state.ts';
import type { Step } from './message.ts';

/**
 * Shapes of relations in `syncline.spool_relation`, so that images which wait in the spool or among the dead letters
 * can be read whatever has become of their table.
 */
export class RelationShelf {
  private readonly ref: LinkRef;
  private readonly byId = new Map<number, LogRelation>();
  private readonly idByShape = new Map<string, number>();
  private ids = new Map<LogRelation, number>();
  /** Written in the open transaction. */
  private fresh: number[] = [];

  constructor(ref: LinkRef) {
    this.ref = ref;
  }

  async load(session: Session): Promise<void> {
    const rows = await session.query<{ id: number; shape: LogRelation }>(
      `SELECT id, shape FROM syncline.spool_relation WHERE ${whereLink(this.ref)}`,
    );
    for (const { id, shape } of rows) this.learn(id, shapeOf(shape));
  }

  expect(id: number): LogRelation {
    const known = this.byId.get(id);
    if (known === undefined)
      throw new SynclineError('internal.unexpected', 'A change that waits has no shape.');
    return known;
  }

  /** The number of the relation; one that is not known yet is written by `steps`. */
  idOf(relation: LogRelation, steps: Step[]): number {
    const known = this.ids.get(relation);
    if (known !== undefined) return known;
    const shape = shapeOf(relation);
    const text = JSON.stringify(shape);
    let id = this.idByShape.get(text);
    if (id === undefined) {
      id = Math.max(0, ...this.byId.keys()) + 1;
      this.learn(id, shape);
      this.fresh.push(id);
      const { job, target } = this.ref;
      const values = [quoteLiteral(job), quoteLiteral(target), String(id), quoteLiteral(text)];
      steps.push({
        text: `INSERT INTO syncline.spool_relation (job, target, id, shape) VALUES (${values.join(', ')})`,
      });
    }
    this.ids.set(relation, id);
    return id;
  }

  committed(): void {
    this.fresh = [];
  }

  rolledBack(): void {
    for (const id of this.fresh) {
      this.idByShape.delete(JSON.stringify(this.byId.get(id)));
      this.byId.delete(id);
    }
    if (this.fresh.length > 0) this.ids = new Map();
    this.fresh = [];
  }

  private learn(id: number, shape: LogRelation): void {
    this.byId.set(id, shape);
    this.idByShape.set(JSON.stringify(shape), id);
  }
}

/** In one order of keys, so that equal shapes have equal text. */
function shapeOf({ name, columns, identity }: LogRelation): LogRelation {
  return {
    name: { schema: name.schema, name: name.name },
    columns: columns.map((column) => ({
      name: column.name,
      typeId: column.typeId,
      typeModifier: column.typeModifier,
      isKey: column.isKey,
    })),
    identity,
  };
}
