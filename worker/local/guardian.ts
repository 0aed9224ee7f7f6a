import { spawn } from 'node:child_process';

/**
 * A guardian outlives its parent just long enough to clear up after it. It is a shell that reads a pipe only the
 * parent writes to: however the parent ends, kill -9 included, the kernel closes the pipe and the shell wakes up.
 * Nothing is polled, and a process id is never looked at while the parent can still say that it is out of date.
 */
const script = `
trap '' HUP INT TERM
pids=''
signal=TERM
while IFS= read -r line; do
  case $line in
    'signal '*) signal=\${line#signal } ;;
    'pid '*) pids=\${line#pid } ;;
    'forget') pids='' ;;
    'done') exit 0 ;;
  esac
done
for pid in $pids; do kill -s "$signal" "$pid" 2>/dev/null; done
for pid in $pids; do
  tries=0
  while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -s KILL "$pid" 2>/dev/null
done
for directory in "$@"; do rm -rf -- "$directory"; done
`;

export interface GuardOptions {
  /** How the guarded process is asked to end; SIGKILL follows after 5 s. Without the prefix SIG. */
  readonly signal: 'TERM' | 'QUIT' | 'KILL';
  /** Removed after the processes have ended. */
  readonly directories?: readonly string[];
}

export interface Guardian {
  /** From now on this process is ended when we are gone; takes the place of the one before. */
  watch(pid: number): void;
  /** The process has ended by itself or by us: its id may belong to somebody else soon. */
  forget(): void;
  /** Everything is cleared up already. */
  dismiss(): void;
}

/** Starts a guardian. Call it before the thing to be guarded exists, so that there is no unguarded moment. */
export function startGuardian(options: GuardOptions): Guardian {
  const shell = spawn('/bin/sh', ['-c', script, 'syncline-guardian', ...(options.directories ?? [])], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  const pipe = shell.stdin;
  // A guardian that somebody killed must not take us with it.
  pipe.on('error', () => undefined);
  shell.on('error', () => undefined);
  shell.unref();
  (pipe as unknown as { unref?: () => void }).unref?.();
  const tell = (line: string): void => {
    pipe.write(`${line}\n`);
  };
  tell(`signal ${options.signal}`);
  return {
    watch: (pid) => tell(`pid ${pid}`),
    forget: () => tell('forget'),
    dismiss: () => {
      tell('done');
      pipe.end();
    },
  };
}
