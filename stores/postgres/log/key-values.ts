import { typeIds } from './base-types.ts';

/**
 * Values of the types whose order the server and we agree on, from their text (under the settings of our sessions) and their
 * binary form. Two of one type compare with `compareValues` as in the server.
 */

export type KeyValue = number | bigint | Buffer;

export interface KeyType {
  fromText(text: string): KeyValue | null;
  fromBinary(bytes: Buffer): KeyValue;
}

export function compareValues(some: KeyValue, other: KeyValue): number {
  if (typeof some === 'object' && typeof other === 'object') return Buffer.compare(some, other);
  return some < other ? -1 : some > other ? 1 : 0;
}

const whole: KeyType = {
  fromText: (text) => (/^-?\d+$/.test(text) ? BigInt(text) : null),
  fromBinary: integerOf,
};

const bytes: KeyType = {
  fromText: (text) => (/^\\x(?:[0-9a-f]{2})*$/.test(text) ? Buffer.from(text.slice(2), 'hex') : null),
  fromBinary: (value) => value,
};

const uuid: KeyType = {
  fromText: (text) => {
    const digits = text.replaceAll('-', '');
    return /^[0-9a-f]{32}$/.test(digits) ? Buffer.from(digits, 'hex') : null;
  },
  fromBinary: (value) => value,
};

/** With collation C: bytes. */
const text: KeyType = {
  fromText: (value) => Buffer.from(value, 'utf8'),
  fromBinary: (value) => value,
};

const truth: KeyType = {
  fromText: (value) => (/^t(rue)?$/.test(value) ? 1 : /^f(alse)?$/.test(value) ? 0 : null),
  fromBinary: (value) => value[0] ?? 0,
};

/** Unsigned, of four bytes. */
const oid: KeyType = {
  fromText: (value) => (/^\d+$/.test(value) ? Number(value) : null),
  fromBinary: (value) => value.readUInt32BE(0),
};

const date: KeyType = {
  fromText: (value) => infinite(value, 31n) ?? dayOf(value),
  fromBinary: integerOf,
};

const time: KeyType = {
  fromText: (value) => microsecondsOf(/^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(value)?.slice(1)),
  fromBinary: integerOf,
};

const instant: KeyType = {
  fromText: (value) => infinite(value, 63n) ?? instantOf(value),
  fromBinary: integerOf,
};

const keyTypes: ReadonlyMap<number, KeyType> = new Map<number, KeyType>([
  [typeIds.int2, whole],
  [typeIds.int4, whole],
  [typeIds.int8, whole],
  [typeIds.oid, oid],
  [typeIds.bool, truth],
  [typeIds.bytea, bytes],
  [typeIds.uuid, uuid],
  [typeIds.text, text],
  [typeIds.varchar, text],
  [typeIds.name, text],
  [typeIds.date, date],
  [typeIds.time, time],
  [typeIds.timestamp, instant],
  [typeIds.timestamptz, instant],
]);

/** Undefined: only the server can compare values of this type. */
export function keyTypeOf(typeId: number): KeyType | undefined {
  return keyTypes.get(typeId);
}

function integerOf(value: Buffer): bigint {
  if (value.length === 8) return value.readBigInt64BE(0);
  return BigInt(value.length === 4 ? value.readInt32BE(0) : value.readInt16BE(0));
}

/** The server keeps infinities as the ends of the integer they are stored in. */
function infinite(value: string, bits: bigint): bigint | null {
  if (value === 'infinity') return (1n << bits) - 1n;
  return value === '-infinity' ? -(1n << bits) : null;
}

const dayPattern = /^(\d{4,})-(\d\d)-(\d\d)( BC)?$/;
const instantPattern =
  /^(\d{4,}-\d\d-\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/;
const dayMicroseconds = 86_400_000_000n;

/** Days since 2000-01-01. */
function dayOf(value: string): bigint | null {
  const parts = dayPattern.exec(value);
  if (parts === null) return null;
  const [, years = '', month = '', day = '', isBefore] = parts;
  const year = isBefore === undefined ? Number(years) : 1 - Number(years);
  return BigInt(daysSinceEra(year, Number(month), Number(day)) - daysSinceEra(2000, 1, 1));
}

/** Days of the Gregorian calendar, carried back before it began as the server does; March begins the year. */
function daysSinceEra(year: number, month: number, day: number): number {
  const years = month > 2 ? year : year - 1;
  const leaps = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return years * 365 + leaps + Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day;
}

function instantOf(value: string): bigint | null {
  const parts = instantPattern.exec(value);
  if (parts === null) return null;
  const [, day = '', hours, minutes, seconds, fraction, sign, ...rest] = parts;
  const [zoneHours = '0', zoneMinutes = '0', zoneSeconds = '0', before = ''] = rest;
  const days = dayOf(day + before);
  const ofDay = microsecondsOf([hours, minutes, seconds, fraction]);
  const zone = microsecondsOf([zoneHours, zoneMinutes, zoneSeconds]);
  if (days === null || ofDay === null || zone === null) return null;
  return days * dayMicroseconds + ofDay - (sign === '-' ? -zone : zone);
}

function microsecondsOf(parts: readonly (string | undefined)[] | undefined): bigint | null {
  if (parts === undefined) return null;
  const [hours = '0', minutes = '0', seconds = '0', fraction = ''] = parts;
  const whole = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  return BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}
