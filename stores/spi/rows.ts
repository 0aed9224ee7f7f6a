import type { Readable } from 'node:stream';

/** Encodings of rows in flight. Decided per table at preflight, never mid-way. */
export type RowFormat = 'binary' | 'text' | 'csv';

/**
 * Rows in flight: opaque bytes with back-pressure. Nothing between reader and writer parses them.
 * `framed` says that each piece is a run of whole or cut PostgreSQL CopyData messages, which a PostgreSQL
 * target takes as they are; unframed is the bare COPY payload.
 */
export interface RowStream {
  readonly format: RowFormat;
  readonly framed: boolean;
  readonly bytes: Readable;
}

/** Order-free fingerprint of a set of rows: counts and a sum of row hashes, text, comparable by equality. */
export type Digest = string;

/** The instant a unit was read at. Opaque except to its own store. See design 3.1. */
export interface SnapshotMark {
  readonly snapshot: string;
  readonly insertPosition: string;
  readonly systemId: string;
  readonly timeline: number;
}

/**
 * What a store needs to know later whether the rows of a unit have changed since they were read, without reading their
 * values. Opaque except to its own store; small plain JSON. Holds no row value.
 */
export interface ContentMark {
  readonly relation: string;
  readonly columns: string;
  readonly snapshot: string;
  readonly systemId: string;
  readonly timeline: number;
}

/** What was read of a unit by an earlier load. */
export interface EarlierLoad {
  readonly content: ContentMark;
  readonly rows: number;
}
