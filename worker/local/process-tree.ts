import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Ends a process and its direct children as a power cut would: nothing of them runs another instruction.
 * The parent is stopped first, or it would start new children or tidy up while its children are being ended.
 */
export function killWithChildren(pid: number): void {
  if (!sendSignal(pid, 'SIGSTOP')) return;
  const children = childrenOf(pid);
  sendSignal(pid, 'SIGKILL');
  for (const child of children) sendSignal(child, 'SIGKILL');
}

/** False when there is no such process any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

export function childrenOf(pid: number): number[] {
  return process.platform === 'linux' ? childrenFromProc(pid) : childrenFromPs(pid);
}

function childrenFromProc(pid: number): number[] {
  const children: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The second field is the name in brackets and may hold spaces; state and parent follow it.
      const parent = text.slice(text.lastIndexOf(')') + 2).split(' ')[1];
      if (Number(parent) === pid) children.push(Number(name));
    } catch {
      continue;
    }
  }
  return children;
}

function childrenFromPs(pid: number): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .flatMap(([child]) => (child === undefined ? [] : [child]));
}
