import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';

export interface Usage {
  /** User and system time since the process began. */
  readonly cpuSeconds: number;
  /** Highest resident set since the last reset. */
  readonly peakBytes: number;
}

let ticksPerSecond: number | null = null;

/** Of a running process, by /proc; null where there is none. */
export function usageOf(pid: number): Usage | null {
  try {
    const cpuSeconds = cpuOf(statOf(pid), ['user', 'system']);
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'));
    return { cpuSeconds, peakBytes: Number(peak?.[1] ?? 0) * 1024 };
  } catch {
    return null;
  }
}

/** The peak counts from now on. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${String(pid)}/clear_refs`, '5');
  } catch {
    // Then the peak is that of the whole life of the process, which is never less.
  }
}

/**
 * CPU seconds of this process and everything it has started and its children started, ended ones included: servers,
 * worker and tools together. A busy machine makes walls longer, but not this. Null where there is no /proc.
 */
export function cpuSecondsOfAll(): number | null {
  return cpuSecondsBelow(process.pid);
}

/** The same of another process and all it has started: of a server, with its backends. */
export function cpuSecondsBelow(root: number): number | null {
  try {
    const stats = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => statIfThere(Number(name)));
    const family = new Set([root]);
    // A child has mostly, but not always, a higher id than its parent.
    for (let before = 0; before !== family.size;) {
      before = family.size;
      for (const { pid, parent } of stats) if (family.has(parent)) family.add(pid);
    }
    return stats
      .filter(({ pid }) => family.has(pid))
      .reduce((sum, stat) => sum + cpuOf(stat, ['user', 'system', 'childUser', 'childSystem']), 0);
  } catch {
    return null;
  }
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** In clock ticks; those of children are of children that have ended. */
  readonly ticks: Readonly<Record<'user' | 'system' | 'childUser' | 'childSystem', number>>;
}

function statOf(pid: number): Stat {
  const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  // The second field is the name, in brackets, and may hold anything.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
  return { pid, parent: fields[1] ?? 0, ticks: { user, system, childUser, childSystem } };
}

/** It may end between being listed and being looked at. */
function statIfThere(pid: number): Stat[] {
  try {
    return [statOf(pid)];
  } catch {
    return [];
  }
}

function cpuOf({ ticks }: Stat, which: readonly (keyof Stat['ticks'])[]): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return which.reduce((sum, one) => sum + ticks[one], 0) / ticksPerSecond;
}
