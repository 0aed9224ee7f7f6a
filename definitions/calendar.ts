import { nearest } from './spelling.ts';

/** Checks of `schedule.cron` and `schedule.calendar`, so that a wrong field is found before a server refuses it. */

interface FieldRange {
  readonly least: number;
  readonly most: number;
  /** Three-letter names, the first standing for `least`. */
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const calendarFields = {
  second: { least: 0, most: 59 },
  minute: { least: 0, most: 59 },
  hour: { least: 0, most: 23 },
  dayOfMonth: { least: 1, most: 31 },
  month: { least: 1, most: 12, names: months },
  year: { least: 2000, most: 2100 },
  dayOfWeek: { least: 0, most: 6, names: weekdays },
} as const satisfies Record<string, FieldRange>;

export type CalendarField = keyof typeof calendarFields;

const shorthands = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];
const fiveFields: readonly CalendarField[] = ['minute', 'hour', 'dayOfMonth', 'month', 'dayOfWeek'];

/** Null when the field is right, else what is wrong with it. */
export function calendarFieldFault(text: string, name: CalendarField): string | null {
  return fieldFault(text, calendarFields[name], name);
}

/** Five fields; six with the year last; seven with seconds first as well; or a shorthand. */
export function cronFault(text: string): { message: string; hint: string | null } | null {
  const fields = text.trim().split(/\s+/);
  const [first = ''] = fields;
  if (/^(CRON_)?TZ=/.test(first)) {
    return { message: 'names a time zone of its own', hint: 'write it under `timezone`' };
  }
  if (first.startsWith('@')) return shorthandFault(first, fields.length);
  if (fields.length < 5 || fields.length > 7) {
    return {
      message: `expected 5 fields \`minute hour day month weekday\`, got ${fields.length}`,
      hint: 'e.g. `30 22 * * *`',
    };
  }
  const names = [...fiveFields];
  if (fields.length > 5) names.push('year');
  if (fields.length > 6) names.unshift('second');
  for (const [index, field] of fields.entries()) {
    const name = names[index] ?? 'minute';
    // Cron, other than a calendar, knows Sunday as 7 too.
    const range = name === 'dayOfWeek' ? { ...calendarFields.dayOfWeek, most: 7 } : calendarFields[name];
    const message = fieldFault(field, range, name);
    if (message !== null) return { message: `field ${index + 1}: ${message}`, hint: null };
  }
  return null;
}

function shorthandFault(word: string, fields: number): { message: string; hint: string | null } | null {
  if (fields === 1 && shorthands.includes(word)) return null;
  const near = nearest(word, shorthands);
  return {
    message: `expected one of ${shorthands.map((name) => `\`${name}\``).join(', ')} or five fields`,
    hint: near === null || near === word ? null : `did you mean \`${near}\`?`,
  };
}

function fieldFault(text: string, range: FieldRange, name: CalendarField): string | null {
  for (const item of text.split(',')) {
    const match = /^(?:\*|([\w]+)(?:-([\w]+))?)(?:\/(\d+))?$/.exec(item.trim());
    if (match === null) return `\`${item}\` is no ${name}: expected a number, \`*\`, \`1-5\` or \`*/15\``;
    const [, low, high, step] = match;
    const from = low === undefined ? range.least : valueOf(low, range);
    const to = high === undefined ? from : valueOf(high, range);
    if (from === null || to === null) return `\`${item}\` is no ${name}: ${range.least} to ${range.most}`;
    if (to < from) return `\`${item}\` ends before it begins`;
    if (step !== undefined && Number(step) === 0) return `\`${item}\` has a step of 0`;
  }
  return null;
}

function valueOf(text: string, range: FieldRange): number | null {
  const name = range.names?.indexOf(text.toLowerCase()) ?? -1;
  if (name >= 0) return range.least + name;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= range.least && value <= range.most ? value : null;
}
