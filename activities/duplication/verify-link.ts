import type { VerifiedLink, VerifyLinkInput } from '../../definitions/contracts/duplication.ts';
import { SynclineError } from '../../definitions/errors.ts';
import type { LoadedChunk } from '../../stores/spi/load-ledger.ts';
import { requireCapability } from '../../stores/spi/store.ts';
import { displayName, type TableName } from '../../stores/spi/tables.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { withHeartbeat } from '../heartbeat.ts';
import { cutAt } from './follow/cut.ts';
import { LinkFollower } from './follow/link-follower.ts';
import { chunksOf, type Link, linkOf } from './link.ts';

/** Chunks compared at one instant: their snapshots are held as long as the comparison takes. */
const chunksAtOnce = 8;
const namedDifferences = 100;

/** Rows of the source and of the target that must be the same rows: a chunk, or all chunks that are routed into one table. */
interface Pair {
  readonly name: string;
  readonly chunks: readonly LoadedChunk[];
  readonly targets: readonly TableName[];
}

/**
 * Compares both sides while everything goes on: the log is followed to one instant of the source (design 3.1, a cut), both
 * sides are looked at there, each under a snapshot, and the log goes on while they are compared.
 */
export async function verifyLink(
  dependencies: ActivityDependencies,
  input: VerifyLinkInput,
): Promise<VerifiedLink> {
  const link = linkOf(dependencies.stores, input);
  const forMs = Number.MAX_SAFE_INTEGER;
  const follower = new LinkFollower(dependencies, link, { ...input, forMs });
  const different: VerifiedLink['different'][number][] = [];
  const sums = { chunks: 0, rows: 0 };
  return await withHeartbeat(
    () => ({ ...follower.heartbeat, different: different.length, compared: sums.chunks }),
    (signal) =>
      follower.run(signal, async () => {
        const pairs = await pairsOf(link, input.only);
        for (let first = 0; first < pairs.length; first += chunksAtOnce) {
          const some = pairs.slice(first, first + chunksAtOnce);
          for (const compared of await compareAtOneInstant(follower, link, { pairs: some, signal })) {
            sums.chunks += compared.pair.chunks.length;
            sums.rows += compared.sourceRows;
            if (!compared.equal) different.push(...differencesOf(compared));
          }
        }
        return {
          ...sums,
          different: different.slice(0, namedDifferences),
          progress: follower.progress,
        };
      }),
  );
}

interface Compared {
  readonly pair: Pair;
  readonly equal: boolean;
  readonly sourceRows: number;
  readonly targetRows: number;
}

function differencesOf({ pair, sourceRows, targetRows }: Compared): VerifiedLink['different'] {
  return pair.chunks.map(({ chunk }) => ({ chunk, sourceRows, targetRows }));
}

interface Comparison {
  readonly pairs: readonly Pair[];
  readonly signal: AbortSignal;
}

async function compareAtOneInstant(
  follower: LinkFollower,
  link: Link,
  { pairs, signal }: Comparison,
): Promise<readonly Compared[]> {
  return await cutAt(follower, async (instant) => {
    const compared = Promise.all(pairs.map((pair) => compare(link, pair, { ...instant, signal })));
    return await follower.whileFollowing(compared);
  });
}

interface Instant {
  readonly source: string;
  readonly target: string;
  readonly signal: AbortSignal;
}

async function compare(link: Link, pair: Pair, { source, target, signal }: Instant): Promise<Compared> {
  const plan = pair.chunks[0]?.plan ?? { columns: [], retyped: [] };
  const common = { job: link.ref.job, plan, signal };
  const [here, there] = await Promise.all([
    contents(link, 'source', {
      ...common,
      snapshot: source,
      leaves: pair.chunks.map((one) => one.sourceLeaf),
    }),
    contents(link, 'target', { ...common, snapshot: target, leaves: pair.targets }),
  ]);
  const equal = here.digest === there.digest;
  return { pair, equal, sourceRows: here.rows, targetRows: there.rows };
}

type ContentsRequest = Parameters<NonNullable<ReturnType<typeof chunkSourceOf>['contents']>>[0];

function chunkSourceOf(link: Link, side: 'source' | 'target') {
  return requireCapability(link[side], 'chunkSource');
}

async function contents(link: Link, side: 'source' | 'target', request: ContentsRequest) {
  const answer = await chunkSourceOf(link, side).contents?.(request);
  if (answer === undefined)
    throw new SynclineError('store.unsupported', `Store ${link[side].name} cannot compare rows.`);
  return answer;
}

/** Chunks that are on the target and followed; those that are routed go together, since their rows lie among each other there. */
async function pairsOf(link: Link, only: readonly string[] | null): Promise<readonly Pair[]> {
  const byTarget = new Map<string, LoadedChunk[]>();
  const held = new Set((await link.applied.tables(link.ref)).map(({ table }) => table));
  for (const chunk of await chunksOf(link)) {
    if (!chunk.complete || held.has(displayName(chunk.plan.source))) continue;
    const target = displayName(chunk.targetLeaf);
    byTarget.set(target, [...(byTarget.get(target) ?? []), chunk]);
  }
  const pairs: Pair[] = [];
  for (const [name, chunks] of byTarget) {
    if (only !== null && !chunks.some((chunk) => isNamed(chunk, only))) continue;
    const [first] = chunks;
    if (first !== undefined) pairs.push({ name, chunks, targets: await leavesOf(link, first.targetLeaf) });
  }
  return pairs;
}

function isNamed({ chunk, plan }: LoadedChunk, only: readonly string[]): boolean {
  return only.includes(chunk) || only.includes(displayName(plan.source));
}

async function leavesOf(link: Link, name: TableName): Promise<readonly TableName[]> {
  const [found] = await requireCapability(link.target, 'tableReader').find([name]);
  return found?.leaves.map((leaf) => leaf.name) ?? [name];
}
