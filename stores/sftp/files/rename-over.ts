import { hasStatus, ServerStatus, status } from '../connection/errors.ts';
import type { Session } from '../connection/session.ts';
import { unlinkFile } from './folders.ts';
import { baseOf, newAsideName, parentOf } from './names.ts';

/** Gives `from` the name `to`, whether or not there is one already: at once where the server can. */
export async function renameOver(session: Session, from: string, to: string): Promise<void> {
  try {
    await session.ask<unknown>((sftp, done) => sftp.ext_openssh_rename(from, to, done as () => void));
  } catch (error) {
    if (!hasStatus(error, status.unsupported)) throw error;
    await renameInSteps(session, from, to);
  }
}

/**
 * The rename of version 3 fails where the name is taken. Then the old object steps aside, so that there is never a part
 * of one; for an instant there is none (`check` warns of it). When the process dies in it, `sweep` gives the old one its name back.
 */
async function renameInSteps(session: Session, from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const taken = await renamed(session, from, to);
    if (taken === null) return;
    const aside = `${parentOf(to)}/${newAsideName(baseOf(to))}`;
    const kept = await renamed(session, to, aside);
    const failure = kept === null ? await renamed(session, from, to) : taken;
    if (failure === null) {
      await unlinkFile(session, aside);
      return;
    }
    // Another writer may have been faster, and then its object stays: one of them wins whole.
    if (kept === null && (await renamed(session, aside, to)) !== null) await unlinkFile(session, aside);
    if (attempt >= 20) throw failure;
  }
}

/** Null when done. */
async function renamed(session: Session, from: string, to: string): Promise<ServerStatus | null> {
  try {
    await session.ask<unknown>((sftp, done) => sftp.rename(from, to, done as () => void));
    return null;
  } catch (error) {
    if (error instanceof ServerStatus) return error;
    throw error;
  }
}
