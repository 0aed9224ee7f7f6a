import { expect, test } from 'vitest';
import { Redaction } from '../../worker/redaction.ts';

const url = 'postgres://app:s3cr%2Fet@db.example:5432/shop?sslmode=require';

function redactionOf(...secrets: string[]): Redaction {
  const redaction = new Redaction();
  for (const secret of secrets) redaction.add(secret);
  return redaction;
}

test('a registered value is blanked wherever it stands', () => {
  expect(redactionOf('hunter22').apply('role said hunter22, twice: hunter22')).toBe(
    'role said [redacted], twice: [redacted]',
  );
});

test('the password of a registered URL is blanked alone, as written and decoded', () => {
  const redaction = redactionOf(url);
  expect(redaction.apply('password s3cr%2Fet or s3cr/et')).toBe('password [redacted] or [redacted]');
});

test('the password of any URL is blanked, known or not', () => {
  expect(new Redaction().apply('cannot reach postgres://app:other@host/db')).toBe(
    'cannot reach postgres://app:[redacted]@host/db',
  );
});

test('a secret with quotes is blanked in JSON too', () => {
  const secret = 'qu"ote\\d';
  const line = JSON.stringify({ message: `with ${secret} inside` });
  expect(redactionOf(secret).apply(line)).toBe('{"message":"with [redacted] inside"}');
});

test('of two secrets of which one begins the other, the longer is blanked whole', () => {
  expect(redactionOf('secret', 'secret-long').apply('secret-long')).toBe('[redacted]');
});

test('a value of three characters stays, because it stands everywhere by chance', () => {
  expect(redactionOf('abc').apply('abcdef')).toBe('abcdef');
});

test('characters that mean something in a pattern are taken literally', () => {
  expect(redactionOf('a.c+(d').apply('a.c+(d and abcc(d')).toBe('[redacted] and abcc(d');
});
