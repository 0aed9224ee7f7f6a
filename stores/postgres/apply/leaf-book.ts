import { SynclineError } from '../../../definitions/errors.ts';
import type { AppliedLeaf } from '../../spi/log-target.ts';
import type { LogChange, LogRelation } from '../../spi/log.ts';
import { displayName, quoteName } from '../identifiers.ts';
import type { Session } from '../connection.ts';
import { type Route, type Target, routeOf, targetOf } from './route.ts';
import { readTargetFacts } from './target-facts.ts';

/** Which leaves of the source go where; what the target's catalogue says of a table is looked up when its first change comes. */
export class LeafBook {
  private readonly leaves = new Map<string, AppliedLeaf>();
  /** Sources by target. */
  private readonly sharers = new Map<string, Set<string>>();
  private readonly targets = new Map<string, Target>();
  private routes = new Map<LogRelation, Route>();

  /** Leaves that are known so already cost nothing. */
  know(leaves: readonly AppliedLeaf[]): void {
    let isNew = false;
    for (const leaf of leaves) {
      if (JSON.stringify(leaf) === JSON.stringify(this.leaves.get(displayName(leaf.source)))) continue;
      isNew = true;
      const [source, target] = [displayName(leaf.source), quoteName(leaf.target)];
      const before = this.leaves.get(source);
      if (before !== undefined) this.sharers.get(quoteName(before.target))?.delete(source);
      this.leaves.set(source, leaf);
      this.sharers.set(target, (this.sharers.get(target) ?? new Set()).add(source));
      this.targets.delete(target);
    }
    if (isNew) this.routes = new Map();
  }

  /** The catalogue may have changed: constraints come and go. */
  forgetTargets(): void {
    this.targets.clear();
    this.routes = new Map();
  }

  /** Before `routeFor` is asked about the changes. */
  async prepare(session: Session, changes: readonly LogChange[]): Promise<void> {
    const wanted = new Map<string, AppliedLeaf>();
    let last: LogRelation | null = null;
    for (const { relation } of changes) {
      if (relation === last || this.routes.has(relation)) continue;
      last = relation;
      const leaf = this.leafOf(relation);
      const name = quoteName(leaf.target);
      if (!this.targets.has(name)) wanted.set(name, leaf);
    }
    if (wanted.size === 0) return;
    const leaves = [...wanted.values()];
    const facts = await readTargetFacts(
      session,
      leaves.map(({ target }) => target),
    );
    leaves.forEach((leaf, index) => {
      const found = facts[index];
      if (found === undefined || found === null) throw targetIsMissing(leaf);
      this.targets.set(quoteName(leaf.target), targetOf(leaf, found));
    });
  }

  routeFor(relation: LogRelation): Route {
    const known = this.routes.get(relation);
    if (known !== undefined) return known;
    const leaf = this.leafOf(relation);
    const target = this.targets.get(quoteName(leaf.target));
    if (target === undefined) throw targetIsMissing(leaf);
    const isShared = (this.sharers.get(quoteName(leaf.target))?.size ?? 0) > 1;
    const route = routeOf(relation, { leaf, target, isShared });
    this.routes.set(relation, route);
    return route;
  }

  /** Table at the source that a leaf belongs to; null: the leaf is not known. */
  tableOf(name: LogRelation['name']): string | null {
    return this.leaves.get(displayName(name))?.table ?? null;
  }

  private leafOf({ name }: LogRelation): AppliedLeaf {
    const leaf = this.leaves.get(displayName(name));
    if (leaf !== undefined) return leaf;
    const table = displayName(name);
    throw new SynclineError('link.unknownTable', `The link does not know where changes of ${table} go.`, {
      details: { table },
    });
  }
}

function targetIsMissing(leaf: AppliedLeaf): SynclineError {
  const table = displayName(leaf.target);
  return new SynclineError('target.tableMissing', `${table} does not exist on the target.`, {
    details: { table },
  });
}
