import type { RowImage } from '../../spi/log.ts';
import { quoteColumns } from '../identifiers.ts';
import { CopyRows, imageRoom, kindText } from './copy-rows.ts';
import type { Step } from './message.ts';
import type { Route } from './route.ts';

/** New rows straight into their table: nothing is faster. Identity columns take what comes; rules are passed over. */

/** Values that come as text have to be cast on their way, and a table without columns takes no COPY. */
export function canCopy(route: Route, kinds: Uint8Array): boolean {
  return (
    route.columns.length > 0 &&
    kinds.every((kind, column) => route.carried[column] !== 1 || kind !== kindText)
  );
}

export function copyStep(route: Route, images: Iterable<RowImage>): Step {
  const columns = quoteColumns(route.columns.map(({ name }) => name));
  return {
    text: `COPY ${route.target.quoted} (${columns}) FROM STDIN (FORMAT binary)`,
    rows: tuples(route, images),
    table: route.target.name,
  };
}

function* tuples(route: Route, images: Iterable<RowImage>): Generator<Buffer> {
  const out = new CopyRows();
  const width = route.columns.length;
  for (const image of images) {
    out.row(width, imageRoom(image, route.carried.length));
    out.fields(image, route.carried);
    if (out.isFull) yield* out.take();
  }
  yield* out.end();
}
