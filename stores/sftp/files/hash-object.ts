import { createHash } from 'node:crypto';
import type { Sessions } from '../connection/sessions.ts';
import { type ReadRequest, readObject } from './read-object.ts';

/** SHA-256 of the object, hex: by the server itself where it runs commands for the user, else of the bytes sent here. */
export async function hashObject(sessions: Sessions, request: Omit<ReadRequest, 'from'>): Promise<string> {
  const { root, key, signal } = request;
  const there = await sessions.use(
    `hashing ${key}`,
    async (session) => hashIn(await session.run(`sha256sum -- ${quoted(`${root}/${key}`)}`, signal)),
    signal,
  );
  return there ?? (await hashHere(sessions, request));
}

/** Null when the command is not there, or something else spoke: then the bytes themselves decide. */
function hashIn(answer: { code: number | null; output: string } | null): string | null {
  if (answer?.code !== 0) return null;
  // A leading backslash says that sha256sum has escaped the name.
  return /(?:^|\n)\\?([0-9a-f]{64}) [ *]\S[^\n]*\n?$/.exec(answer.output)?.[1] ?? null;
}

async function hashHere(sessions: Sessions, request: Omit<ReadRequest, 'from'>): Promise<string> {
  const hash = createHash('sha256');
  const body = await readObject(sessions, { ...request, from: 0 });
  for await (const piece of body as AsyncIterable<Buffer>) hash.update(piece);
  return hash.digest('hex');
}

/** For the shell that the server starts: the root is the user's and may hold anything. */
function quoted(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}
