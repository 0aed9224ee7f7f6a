import {
  DefaultLogger,
  type Logger as TemporalLogger,
  type LogLevel as TemporalLevel,
} from '@temporalio/worker';
import { pino, type Logger } from 'pino';
import type { LogLevel } from '../definitions/stores-file.ts';
import type { Redaction } from './redaction.ts';

export interface LogOptions {
  readonly level: LogLevel;
  readonly redaction: Redaction;
}

/** One JSON line per event on stdout; every line passes the redaction as the text it will be. */
export function createLog({ level, redaction }: LogOptions): Logger {
  return pino({
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: (line) => redaction.apply(line) },
  });
}

const pinoLevels: Readonly<Record<TemporalLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** What the SDK, its native core and workflows say goes the same way as our own lines. */
export function temporalLogger(log: Logger, level: LogLevel): TemporalLogger {
  const child = log.child({ part: 'temporal' });
  return new DefaultLogger(level.toUpperCase() as TemporalLevel, (entry) => {
    child[pinoLevels[entry.level]](withoutStacks(entry.meta), entry.message);
  });
}

/** A driver's error text may hold row values: of an error keep its type, of a failure its code. */
function withoutStacks(
  meta: Readonly<Record<string | symbol, unknown>> | undefined,
): Record<string, unknown> {
  if (meta === undefined) return {};
  return Object.fromEntries(
    Object.entries(meta).map(([key, value]) => [key, value instanceof Error ? errorFields(value) : value]),
  );
}

export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { type, code } = error as { type?: unknown; code?: unknown };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    type: typeof type === 'string' ? type : error.name,
    ...(typeof code === 'string' ? { code } : {}),
    frames: frames.slice(0, 8).map((line) => line.trim()),
  };
}
