import type { Random } from '../../../scripts/chaos/random.ts';
import { accounts, eventLeaves, noise, oddColumns, oddTable, oddValues, parents, seats } from './tables.ts';

/** Who writes, and the how-manieth of its operations this is: names rows that nobody else makes. */
export interface Place {
  readonly writer: number;
  readonly nth: number;
}

/** Statements that belong together. Not every row that they name is there. */
export type Operation = (random: Random, place: Place) => readonly string[];

const ids = {
  event: 18_000,
  toast: 360,
  seat: seats,
  word: 3_600,
  parent: parents,
  child: 2_400,
  odd: 480,
} as const;

function some(random: Random, upTo: number, most: number): { from: number; to: number } {
  const from = random.between(1, upTo);
  return { from, to: from + random.between(0, most - 1) };
}

/** Swaps the keys of two rows by way of a third one; each statement touches a key that the last one freed. */
function swapKeys(table: string, [one, other]: readonly [number, number]): string[] {
  return [
    `UPDATE ${table} SET id = -${one} WHERE id = ${one}`,
    `UPDATE ${table} SET id = ${one} WHERE id = ${other}`,
    `UPDATE ${table} SET id = ${other} WHERE id = -${one}`,
  ];
}

const oneEvent = (id: number): string =>
  `(id, day) = (SELECT id, day FROM lab.event WHERE id = ${id} ORDER BY day LIMIT 1)`;

const events = {
  insertEvents(random, { writer }) {
    const { from, to } = some(random, ids.event, 6);
    const payload = random.next() < 0.2 ? noise(`'e${writer}' || i`, random.between(100, 9_000)) : 'NULL';
    return [
      `INSERT INTO lab.event SELECT i, i % 50, 'new', i, ${payload}, now() FROM generate_series(${from}, ${to}) AS i
        ON CONFLICT (id, day) DO UPDATE SET qty = lab.event.qty + 1, kind = 'again'`,
    ];
  },
  updateEvents(random) {
    const { from, to } = some(random, ids.event, 12);
    return [`UPDATE lab.event SET qty = qty + 1, kind = 'changed' WHERE id BETWEEN ${from} AND ${to}`];
  },
  moveEvent(random) {
    const { from } = some(random, ids.event, 1);
    const days = Array.from({ length: random.between(1, 3) }, () => random.between(0, 55));
    return days.map((day) => `UPDATE lab.event SET day = ${day} WHERE ${oneEvent(from)}`);
  },
  renameEvent(random, { writer, nth }) {
    const { from } = some(random, ids.event, 1);
    const there = `UPDATE lab.event SET id = ${writer * 100_000_000 + nth} WHERE ${oneEvent(from)}`;
    return random.next() < 0.5
      ? [there]
      : [there, `UPDATE lab.event SET id = ${from}, qty = qty - 1 WHERE id = ${writer * 100_000_000 + nth}`];
  },
  deleteEvents(random) {
    const { from, to } = some(random, ids.event, 4);
    return [`DELETE FROM lab.event WHERE id BETWEEN ${from} AND ${to}`];
  },
} as const satisfies Record<string, Operation>;

const toasted = {
  putToast(random, { writer, nth }) {
    const { from } = some(random, ids.toast, 1);
    const big = noise(`'${writer}/${nth}'`, random.between(10_500, 30_000));
    return [
      `INSERT INTO lab.toast VALUES (${from}, 0, ${big}, NULL, 'new')
        ON CONFLICT (id) DO UPDATE SET big = excluded.big, bytes = NULL`,
    ];
  },
  touchToast(random) {
    const { from, to } = some(random, ids.toast, 3);
    return [`UPDATE lab.toast SET small = small + 1 WHERE id BETWEEN ${from} AND ${to}`];
  },
  halfToast(random) {
    const { from } = some(random, ids.toast, 1);
    return [
      `UPDATE lab.toast SET bytes = convert_to(${noise(`'h' || id`, 3_000)}, 'UTF8') WHERE id = ${from}`,
    ];
  },
  renameToast(random, { writer, nth }) {
    const { from } = some(random, ids.toast, 1);
    const far = writer * 1_000_000 + nth;
    const back = random.next() < 0.6 ? [`UPDATE lab.toast SET id = ${from} WHERE id = ${far}`] : [];
    return [
      `UPDATE lab.toast SET small = small + 1 WHERE id = ${from}`,
      `UPDATE lab.toast SET id = ${far}, note = 'renamed' WHERE id = ${from}`,
      ...back,
    ];
  },
  swapToast: (random) =>
    swapKeys('lab.toast', [random.between(1, ids.toast / 2), random.between(ids.toast / 2 + 1, ids.toast)]),
  replaceToast(random, { writer, nth }) {
    const { from } = some(random, ids.toast, 1);
    return [
      `DELETE FROM lab.toast WHERE id = ${from}`,
      `INSERT INTO lab.toast VALUES (${from}, ${nth}, ${noise(`'r${writer}/${nth}'`, 12_000)}, NULL, 'replaced')`,
    ];
  },
  deleteToast: (random) => [`DELETE FROM lab.toast WHERE id = ${random.between(1, ids.toast)}`],
} as const satisfies Record<string, Operation>;

const oneKeyless = (a: string): string =>
  `ctid = (SELECT ctid FROM lab.keyless WHERE a IS NOT DISTINCT FROM ${a} LIMIT 1)`;

const keyless = {
  insertKeyless(random) {
    const a = random.pick(['NULL', '1', '2', '3', '7']);
    const c = random.pick([`'NaN'`, '1.0', '1.00', 'NULL']);
    const d = random.pick([`'-0'`, '0', 'NULL']);
    return [
      `INSERT INTO lab.keyless SELECT ${a}, ${random.pick(['NULL', `'same'`])}, ${c}, ${d} FROM generate_series(1, ${random.between(1, 4)})`,
    ];
  },
  updateOneKeyless: (random) => [
    `UPDATE lab.keyless SET c = ${random.pick(['c', '1.00', '1.0', `'NaN'`])}, b = ${random.pick(['b', 'NULL', `'other'`])}
      WHERE ${oneKeyless(random.pick(['NULL', '1', '2', '3']))}`,
  ],
  deleteOneKeyless: (random) => [
    `DELETE FROM lab.keyless WHERE ${oneKeyless(random.pick(['NULL', '1', '2', '3', '7']))}`,
  ],
  updateManyKeyless: (random) => [
    `UPDATE lab.keyless SET d = ${random.pick(['d', `'-0'`, '0'])}, a = a + ${random.between(0, 1)} WHERE a = ${random.between(1, 8)}`,
  ],
} as const satisfies Record<string, Operation>;

function twoOf(random: Random, most: number): [number, number] {
  const one = random.between(1, most - 1);
  return [one, random.between(one + 1, most)];
}

const unique = {
  swapPlaces(random) {
    const [one, other] = twoOf(random, ids.seat);
    return [
      `UPDATE lab.seat SET place = -${one} WHERE id = ${one}`,
      `UPDATE lab.seat SET place = ${one * 10} WHERE id = ${other} AND NOT EXISTS (SELECT FROM lab.seat WHERE place = ${one * 10})`,
      `UPDATE lab.seat SET place = ${other * 10} WHERE id = ${one} AND NOT EXISTS (SELECT FROM lab.seat WHERE place = ${other * 10})`,
    ];
  },
  rotateLines(random) {
    const [one, other] = twoOf(random, ids.seat);
    return [
      `UPDATE lab.seat s SET line = o.line, who = 'rotated' FROM lab.seat o
        WHERE s.id IN (${one}, ${other}) AND o.id IN (${one}, ${other}) AND s.id <> o.id`,
    ];
  },
  takeSeatOver(random, { writer, nth }) {
    const id = random.between(1, ids.seat);
    return [
      `WITH gone AS (DELETE FROM lab.seat WHERE id = ${id} RETURNING *)
        INSERT INTO lab.seat SELECT ${writer * 1_000_000 + nth}, place + 100000000, line, 'next' FROM gone`,
      `UPDATE lab.seat SET id = ${id}, place = place - 100000000 WHERE id = ${writer * 1_000_000 + nth}`,
    ];
  },
  swapSeats: (random) => swapKeys('lab.seat', twoOf(random, ids.seat)),
  swapBookings(random) {
    const [one, other] = twoOf(random, ids.seat);
    return [
      `CREATE TEMP TABLE IF NOT EXISTS swap (id int, during int4range) ON COMMIT DELETE ROWS`,
      `INSERT INTO swap SELECT id, during FROM lab.booking WHERE id IN (${one}, ${other}) FOR UPDATE`,
      `UPDATE lab.booking SET during = 'empty' WHERE id IN (${one}, ${other})`,
      `UPDATE lab.booking b SET during = s.during, who = 'swapped' FROM swap s WHERE b.id IN (${one}, ${other}) AND s.id IN (${one}, ${other}) AND s.id <> b.id`,
    ];
  },
  moveBooking: (random) => [
    `UPDATE lab.booking SET during = int4range(${random.between(1, seats * 10)}, ${seats * 10 + 100}) * during WHERE id = ${random.between(1, ids.seat)}`,
  ],
} as const satisfies Record<string, Operation>;

const languages = [`'de'`, `'en'`, `''`, `'žł'`, `'EN '`] as const;

const others = {
  putWords(random, { writer, nth }) {
    const { from, to } = some(random, ids.word, 6);
    return [
      `INSERT INTO lab.word SELECT ${random.pick(languages)}, 'w' || i, i, '${writer}/${nth}' FROM generate_series(${from}, ${to}) AS i
        ON CONFLICT (lang, word) DO UPDATE SET n = lab.word.n + 1`,
    ];
  },
  renameWord(random, { writer, nth }) {
    const word = `w${random.between(1, ids.word)}`;
    const lang = random.pick(languages);
    return [
      `UPDATE lab.word SET word = word || '+${writer}/${nth}' WHERE lang = ${lang} AND word = '${word}'`,
      `UPDATE lab.word SET lang = '', n = n + 1 WHERE lang = ${lang} AND word = '${word}+${writer}/${nth}'`,
    ];
  },
  deleteWords(random) {
    const word = `w${random.between(1, ids.word)}`;
    return [`DELETE FROM lab.word WHERE word = '${word}'`];
  },
  copyWords: (_, { writer }) => [
    `DELETE FROM lab.word WHERE lang = 'c${writer}'`,
    `COPY lab.word (lang, word, n, note) FROM PROGRAM 'seq -f "c${writer},w%g,1,copied" 1 300' (FORMAT csv)`,
  ],
  renameParent(random, { writer, nth }) {
    const id = random.between(1, ids.parent);
    return [
      `UPDATE lab.parent SET id = ${writer * 1_000_000 + nth} WHERE id = ${id}`,
      `UPDATE lab.parent SET id = ${id}, note = 'back' WHERE id = ${writer * 1_000_000 + nth}`,
    ];
  },
  replaceParent(random, { nth }) {
    const id = random.between(1, ids.parent);
    const child = random.between(1, ids.child);
    return [
      `DELETE FROM lab.parent WHERE id = ${id}`,
      `INSERT INTO lab.parent VALUES (${id}, 'replaced')`,
      `INSERT INTO lab.child VALUES (${child}, ${id}, ${nth}) ON CONFLICT (id) DO UPDATE SET parent = ${id}, n = ${nth}`,
    ];
  },
  touchChildren: (random) => [
    `UPDATE lab.child SET n = n + 1 WHERE parent = ${random.between(1, ids.parent)}`,
  ],
  putOdd(random) {
    const { from, to } = some(random, ids.odd, 3);
    const shift = random.between(0, 12);
    const set = oddColumns.split(', ').slice(1);
    return [
      `INSERT INTO ${oddTable} (${oddColumns}) SELECT i, ${oddValues(`(i + ${shift})`)} FROM generate_series(${from}, ${to}) AS i
        ON CONFLICT ("Sel""ect") DO UPDATE SET ${set.map((column) => `${column} = excluded.${column}`).join(', ')}`,
    ];
  },
  addOdd: (_, { nth }) => [`INSERT INTO ${oddTable} (n, c6) VALUES (${nth}, 'own')`],
  deleteOdd: (random) => [`DELETE FROM ${oddTable} WHERE "Sel""ect" = ${random.between(1, ids.odd)}`],
  putGrowing(random, { writer, nth }) {
    const slot = random.between(0, 8);
    return [
      `DO $$ BEGIN IF to_regclass('lab.growing_${slot}') IS NOT NULL THEN
         INSERT INTO lab.growing SELECT ${slot}, ${writer * 1_000_000 + nth * 10} + i, md5(i::text) FROM generate_series(1, ${random.between(1, 9)}) AS i;
         UPDATE lab.growing SET note = 'touched' WHERE slot = ${slot} AND id % 10 = ${random.between(0, 9)};
       END IF; END $$`,
    ];
  },
  moveGrowing: (random) => [
    `UPDATE lab.growing SET slot = ${random.between(0, 2)} WHERE slot = ${random.between(0, 2)} AND id = ${random.between(1, 3_000)}`,
  ],
} as const satisfies Record<string, Operation>;

/** TPC-B's transaction. Not for slow transactions: everybody waits for a branch. */
const transfer: Operation = (random, { writer, nth }) => {
  const account = random.between(1, accounts);
  const teller = random.between(1, 30);
  const branch = random.between(1, 3);
  const delta = random.between(-5_000, 5_000);
  return [
    `UPDATE lab.account SET balance = balance + ${delta} WHERE id = ${account}`,
    `UPDATE lab.teller SET balance = balance + ${delta} WHERE id = ${teller}`,
    `UPDATE lab.branch SET balance = balance + ${delta} WHERE id = ${branch}`,
    `INSERT INTO lab.history VALUES ('${writer}/${nth}', ${branch}, ${teller}, ${account}, ${delta}, now())`,
  ];
};

export const smallOperations = {
  ...{ ...events, ...toasted, ...keyless },
  ...{ ...unique, ...others, transfer },
} as const satisfies Record<string, Operation>;

/** Thousands of rows each, or of changes of one row. */
export const bulkOperations = {
  insertMany(random, { writer }) {
    const from = writer * 1_000_000;
    return [
      `DELETE FROM lab.event WHERE id BETWEEN ${from} AND ${from + 99_999}`,
      `INSERT INTO lab.event SELECT ${from} + i, i % 50, 'many', i, md5(i::text), now() FROM generate_series(1, ${random.between(5_000, 25_000)}) AS i`,
    ];
  },
  updateMany: (random) => [
    `UPDATE lab.event SET qty = qty + 1 WHERE id % ${random.between(2, 9)} = 0 AND id < 1000000`,
  ],
  deleteMany: (_, { writer }) => [
    `DELETE FROM lab.event WHERE id BETWEEN ${writer * 1_000_000} AND ${writer * 1_000_000 + 99_999}`,
  ],
  moveMany: (random) => [
    `UPDATE lab.event SET day = (day + ${random.between(1, 49)}) % 50, id = -id - ${random.between(1, 9)} * 1000000
      WHERE id % 37 = ${random.between(0, 36)} AND id BETWEEN 0 AND 99999`,
  ],
  /** More sub-transactions than a snapshot lists. */
  manySavepoints: (random, { nth }) => [
    `DO $$ BEGIN FOR i IN 1..${random.between(70, 150)} LOOP BEGIN
       INSERT INTO lab.word VALUES ('en', 's' || i, ${nth}, NULL);
       UPDATE lab.toast SET small = small + 1 WHERE id = 1 + i % 20;
       IF i % 7 = 0 THEN RAISE EXCEPTION division_by_zero; END IF;
     EXCEPTION WHEN unique_violation OR division_by_zero THEN NULL; END; END LOOP; END $$`,
  ],
  oneRowOften: (random) => [
    `DO $$ BEGIN FOR i IN 1..${random.between(100, 600)} LOOP
       UPDATE lab.word SET n = n + 1 WHERE lang = 'en' AND word = 'w1';
       UPDATE lab.parent SET note = i::text WHERE id = 1;
     END LOOP; END $$`,
  ],
} as const satisfies Record<string, Operation>;

/** Each makes others wait until it is over. */
export const truncations = {
  truncateLeaf: (random) => [`TRUNCATE ${random.pick(eventLeaves)}`],
  truncateSome: (random) => [`TRUNCATE ${random.pick(eventLeaves)}, lab.keyless`],
  truncateAndFill(random, { writer, nth }) {
    return [
      `INSERT INTO lab.keyless VALUES (${writer}, 'before', ${nth}, 0)`,
      `TRUNCATE lab.keyless`,
      `INSERT INTO lab.keyless SELECT i % 5, 'after', i, 0 FROM generate_series(1, ${random.between(1, 60)}) AS i`,
    ];
  },
  truncateParents: () => [
    `TRUNCATE lab.parent CASCADE`,
    `INSERT INTO lab.parent SELECT i, 'anew' FROM generate_series(1, ${ids.parent}) AS i`,
  ],
  truncateToast: (_, { nth }) => [
    `TRUNCATE lab.toast`,
    `INSERT INTO lab.toast SELECT i, ${nth}, ${noise(`'n${nth}' || i`, 11_000)}, NULL, 'anew' FROM generate_series(1, 60) AS i`,
  ],
} as const satisfies Record<string, Operation>;

export type OperationName =
  keyof typeof smallOperations | keyof typeof bulkOperations | keyof typeof truncations;
