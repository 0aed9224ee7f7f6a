import { z } from 'zod';
import {
  bytesPerSecond,
  durationMs,
  durationPattern,
  ratePattern,
  respell,
  sizeBytes,
  sizePattern,
} from '../units.ts';

/** Amounts and names as text. A refinement that knows the right spelling passes it on as `params.hint`. */

export function refuse(context: z.RefinementCtx, message: string, hint: string | null = null): never {
  context.addIssue({ code: 'custom', message, params: { hint } });
  return z.NEVER;
}

export const text = z.string().refine((value) => value.trim() !== '', 'is empty');

interface Amount {
  readonly kind: 'duration' | 'size' | 'rate';
  readonly read: (text: string) => number | null;
  readonly expected: string;
  readonly pattern: string;
}

const durationAmount: Amount = {
  kind: 'duration',
  read: durationMs,
  expected: 'expected a duration such as `500ms`, `30s`, `5m`, `2h`, `7d` or `1w`',
  pattern: durationPattern,
};

const sizeAmount: Amount = {
  kind: 'size',
  read: sizeBytes,
  expected: 'expected a size such as `512KB`, `64MB`, `1GB` or `1GiB`',
  pattern: sizePattern,
};

const rateAmount: Amount = {
  kind: 'rate',
  read: bytesPerSecond,
  expected: 'expected a rate such as `100MB/s`',
  pattern: ratePattern,
};

function amount(rule: Amount, least: { readonly value: number; readonly text: string }) {
  return z
    .string()
    .meta({ pattern: rule.pattern })
    .transform((value, context) => {
      const read = rule.read(value);
      if (read !== null) {
        return read >= least.value ? read : refuse(context, `must be at least ${least.text}`);
      }
      const spelling = respell(value, rule.kind);
      return refuse(context, rule.expected, spelling === null ? null : `write \`${spelling}\``);
    });
}

/** Milliseconds. */
export const duration = (leastMs: number, leastText: string) =>
  amount(durationAmount, { value: leastMs, text: leastText });

/** Bytes. */
export const size = (leastBytes: number, leastText: string) =>
  amount(sizeAmount, { value: leastBytes, text: leastText });

/** Bytes per second. */
export const rate = amount(rateAmount, { value: 1, text: '1B/s' });

/** A key that other kinds have: an editor marks it, and whoever writes it is told why. */
export function refused(message: string, hint: string) {
  return z
    .unknown()
    .superRefine((_value, context) => void refuse(context, message, hint))
    .optional()
    .meta({ not: {} })
    .describe(`Refused: ${message}.`);
}

const storeNamePattern = /^[A-Za-z][A-Za-z0-9_.-]{0,99}$/;

export const storeName = z
  .string()
  .regex(storeNamePattern, 'must begin with a letter and hold only letters, digits, `-`, `_` and `.`');
