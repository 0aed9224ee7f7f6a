import type { TestProject } from 'vitest/node';
import './provided.ts';
import { findVersitygw } from './versitygw.ts';

/** The executable only: a server starts in a moment, and each test file has one of its own. */
export default async function setup(project: TestProject): Promise<void> {
  project.provide('versitygw', await findVersitygw((line) => process.stderr.write(`${line}\n`)));
}
